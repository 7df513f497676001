#include "cuda/sim/counters.h"

#include <algorithm>
#include <array>

#include "cuda/sim/machine.h"

namespace rvx::cuda::sim {

Counters& counters() {
  static auto* one = new Counters;
  return *one;
}

void Counters::enable(int64_t sample) {
  on_ = sample != 0;
  sample_ = on_ ? sample : 1;
  launches_.clear();
  state.counting = on_;
}

std::vector<SimulatedLaunch> Counters::take() {
  std::vector<SimulatedLaunch> result;
  result.swap(launches_);
  return result;
}

void Counters::begin(const Launch& launch) {
  if (!on_) return;
  launch_ = SimulatedLaunch{};
  launch_.name = launch.name;
  launch_.blocks = uint64_t{launch.blocks.x} * launch.blocks.y * launch.blocks.z;
  launch_.threads = launch.threads;
  launch_.sharedBytes = launch.shared;
  blocksX_ = launch.blocks.x;
  mostX_ = static_cast<uint64_t>(std::max<int64_t>(-sample_, 0)) *
           std::max<uint64_t>((blocksX_ + 31) / 32, 32);
  read_.clear();
  written_.clear();
  groups_.assign(launch.threads / 32, {});
  repetitions_.assign(launch.threads, {});
}

void Counters::end() {
  if (!on_) return;
  launch_.readTouched = count(read_);
  launch_.writeTouched = count(written_);
  launches_.push_back(launch_);
}

Counters::Group& Counters::group(const void* site) {
  const auto thread = static_cast<size_t>(self->thread.x);
  const uint32_t repetition = repetitions_[thread][site]++;
  const uint64_t key = reinterpret_cast<uintptr_t>(site) * 0x9e3779b97f4a7c15u + repetition;
  return groups_[static_cast<size_t>(self->warp)][key];
}

void Counters::Group::add(uint64_t address) {
  const auto lane = static_cast<size_t>(self->lane);
  addresses[lane] = address;
  lanes |= 1u << lane;
}

void Counters::global(const void* site, const void* p, size_t bytes, bool write) {
  Group& g = group(site);
  g.write = write;
  g.bytes = static_cast<uint32_t>(bytes);
  g.add(reinterpret_cast<uintptr_t>(p));
}

void Counters::shared(const void* site, const void* p, size_t bytes) {
  Group& g = group(site);
  g.shared = true;
  g.bytes = static_cast<uint32_t>(bytes);
  g.add(static_cast<uint64_t>(static_cast<const unsigned char*>(p) - state.shared));
}

void Counters::atomic(const void* p, size_t bytes) {
  if (!on_) return;
  launch_.atomics++;
  if (inShared(p, bytes)) return;
  // The sector goes both ways.
  const uint64_t sector = reinterpret_cast<uintptr_t>(p) / 32;
  launch_.readRequested++, launch_.writeRequested++;
  touch(read_, sector), touch(written_, sector);
}

void Counters::touch(Pages& pages, uint64_t sector) {
  auto& bits = pages.try_emplace(sector / 128).first->second;
  bits[sector % 128 / 64] |= uint64_t{1} << (sector % 64);
}

uint64_t Counters::count(const Pages& pages) {
  uint64_t sum = 0;
  for (const auto& [page, bits] : pages)
    sum += static_cast<uint64_t>(__builtin_popcountll(bits[0]) + __builtin_popcountll(bits[1]));
  return sum;
}

void Counters::settle(const Group& g) {
  if (g.shared) {
    banks(g.addresses, g.lanes, g.bytes);
    return;
  }
  std::array<uint64_t, 64>
      sectors;  // 16 aligned bytes lie in one sector, but misaligned ones may not
  size_t n = 0;
  for (size_t i = 0; i < 32; ++i) {
    if (!(g.lanes >> i & 1)) continue;
    const uint64_t first = g.addresses[i] / 32, last = (g.addresses[i] + g.bytes - 1) / 32;
    for (uint64_t s = first; s <= last; ++s)
      if (n == 0 || sectors[n - 1] != s) sectors[n++] = s;
  }
  std::sort(sectors.begin(), sectors.begin() + static_cast<std::ptrdiff_t>(n));
  n = static_cast<size_t>(
      std::unique(sectors.begin(), sectors.begin() + static_cast<std::ptrdiff_t>(n)) -
      sectors.begin());
  (g.write ? launch_.writeRequested : launch_.readRequested) += n;
  for (size_t i = 0; i < n; ++i) touch(g.write ? written_ : read_, sectors[i]);
}

void Counters::banks(const std::array<uint64_t, 32>& addresses, uint32_t lanes, uint32_t bytes) {
  // 8 and 16 bytes a lane go in halves and quarters of a warp.
  const size_t together = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  for (size_t from = 0; from < 32; from += together) {
    std::array<uint64_t, 32> words;  // those that differ
    std::array<size_t, 32> ofBank{};
    size_t n = 0, passes = 0;
    for (size_t i = from; i < from + together; ++i) {
      if (!(lanes >> i & 1)) continue;
      for (uint64_t w = addresses[i] / 4; w <= (addresses[i] + bytes - 1) / 4; ++w) {
        const auto end = words.begin() + static_cast<std::ptrdiff_t>(n);
        if (std::find(words.begin(), end, w) != end) continue;
        if (n < words.size()) words[n++] = w;
        passes = std::max(passes, ++ofBank[w % 32]);
      }
    }
    if (passes == 0) continue;
    launch_.sharedAccesses++;
    launch_.bankConflicts += passes - 1;
  }
}

void Counters::ldmatrix(const void* const* rows) {
  if (!on_) return;
  std::array<uint64_t, 32> addresses;
  for (size_t i = 0; i < 32; ++i)
    addresses[i] = static_cast<uint64_t>(static_cast<const unsigned char*>(rows[i]) - state.shared);
  banks(addresses, 0xffffffffu, 16);
}

void Counters::flush(int warp) {
  auto& groups = groups_[static_cast<size_t>(warp)];
  for (const auto& [key, g] : groups) settle(g);
  groups.clear();
  for (size_t i = 0; i < 32; ++i) repetitions_[static_cast<size_t>(warp) * 32 + i].clear();
}

void Counters::flushAll() {
  for (size_t w = 0; w < groups_.size(); ++w) flush(static_cast<int>(w));
}

void Counters::barrier() {
  if (!on_) return;
  launch_.barriers++;
  flushAll();
}

void Counters::endBlock() {
  if (!on_) return;
  launch_.blocksRun++;
  flushAll();
}

__attribute__((noinline)) void noteGlobal(const void* p, size_t bytes, bool write) {
  counters().global(__builtin_return_address(0), p, bytes, write);
}
__attribute__((noinline)) void noteShared(const void* p, size_t bytes) {
  counters().shared(__builtin_return_address(0), p, bytes);
}
void noteAtomic(const void* p, size_t bytes) { counters().atomic(p, bytes); }

}  // namespace rvx::cuda::sim
