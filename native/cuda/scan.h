// Prefix sums: out[i] = in[0] + ... + in[i - 1], over a warp, a block or a tensor. Integers, or floats whose sums are exact: the
// tree of additions is fixed, but not that of a loop.
//
// Over a tensor (Blelloch, Prefix sums and their applications, 1990; blocks do not wait for each other, so in three launches): the
// sums of tiles; their prefix sums, by one block; the prefix sums inside each tile. Least bytes: two reads, one write. What one
// block reads in a few turns takes one launch instead.
#pragma once
#include <algorithm>

#include "cuda/launch.h"
#include "cuda/packet.h"
#include "cuda/reduce.h"

namespace rvx::cuda {

// Of this lane and those before it. By all lanes together.
template <class T>
RVX_DEVICE T inclusiveScanWarp(T value) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  for (int by = 1; by < 32; by <<= 1) {
    const T before = shuffleUp(value, by);
    if (lane >= by) value += before;
  }
  return value;
}

// Of the threads before this one; total is that of all. By all threads of the block together; scratch as for reduceBlock.
template <class T>
RVX_DEVICE T scanBlock(T value, T* scratch, T& total) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
  const T inclusive = inclusiveScanWarp(value);
  if (lane == 31) sts(scratch + warp, inclusive);
  syncBlock();
  const T sums = inclusiveScanWarp(lane < warps ? lds(scratch + lane) : T{0});
  syncBlock();
  const T before = shuffle(sums, static_cast<int>((warp + 31) % 32));
  total = shuffle(sums, 31);
  return (warp ? before : T{0}) + inclusive - value;
}

constexpr int kScanThreads = 256;
// More threads hide the turns' latency where one block does it all.
constexpr int kScanOneThreads = 1024;

template <class T>
constexpr int64_t scanTile(int threads) {
  return int64_t{threads} * packetLength<T>();
}

template <class T>
RVX_DEVICE Packet<T, packetLength<T>()> scanLoad(const T* in, int64_t at, int64_t count) {
  constexpr int kN = packetLength<T>();
  if (at + kN <= count) return ldPacket<kN>(in + at);
  Packet<T, kN> values{};
  for (int i = 0; i < kN; ++i)
    if (at + i < count) values.value[i] = ld(in + at + i);
  return values;
}
template <int N, class T>
RVX_DEVICE void scanStore(T* out, int64_t at, int64_t count, T before, Packet<T, N> values) {
  RVX_UNROLL
  for (int i = 0; i < N; ++i) {
    const T value = values.value[i];
    values.value[i] = before;
    before += value;
  }
  if (at + N <= count) {
    stPacket(out + at, values);
  } else {
    for (int i = 0; i < N; ++i)
      if (at + i < count) st(out + at + i, values.value[i]);
  }
}
template <int N, class T>
RVX_DEVICE T sumOf(const Packet<T, N>& values) {
  T sum = 0;
  RVX_UNROLL
  for (int i = 0; i < N; ++i) sum += values.value[i];
  return sum;
}

template <class T>
RVX_KERNEL(kScanThreads)
scanSums(const T* in, int64_t count, T* sums) {
  const int64_t at =
      blockIdx.x * scanTile<T>(kScanThreads) + threadIdx.x * int64_t{packetLength<T>()};
  const T sum = sumBlock(sumOf(scanLoad(in, at, count)), sharedMemory<T>());
  if (threadIdx.x == 0) st(sums + blockIdx.x, sum);
}

// One block, in turns.
template <class T>
RVX_KERNEL(kScanOneThreads)
scanOne(const T* in, int64_t count, T* out, T* total) {
  T before = 0;
  for (int64_t tile = 0; tile < count; tile += scanTile<T>(static_cast<int>(blockDim.x))) {
    const int64_t at = tile + threadIdx.x * int64_t{packetLength<T>()};
    const auto values = scanLoad(in, at, count);
    T sum;
    const T inTile = scanBlock(sumOf(values), sharedMemory<T>(), sum);
    scanStore(out, at, count, before + inTile, values);
    before += sum;
  }
  if (threadIdx.x == 0) st(total, before);
}

template <class T>
RVX_KERNEL(kScanThreads)
scanTiles(const T* in, int64_t count, const T* sums, T* out) {
  const int64_t at =
      blockIdx.x * scanTile<T>(kScanThreads) + threadIdx.x * int64_t{packetLength<T>()};
  const auto values = scanLoad(in, at, count);
  T sum;
  const T inTile = scanBlock(sumOf(values), sharedMemory<T>(), sum);
  scanStore(out, at, count, ld(sums + blockIdx.x) + inTile, values);
}

// out [count], total [1] on the device. `in` and `out` are aligned to 16 bytes and may be the same.
template <class T>
void exclusiveScan(Context& cx, const T* in, int64_t count, T* out, T* total) {
  const size_t shared = 32 * sizeof(T);
  const auto one = [&](const T* from, int64_t n, T* to) {
    const int64_t packets = (n + packetLength<T>() - 1) / packetLength<T>();
    const auto warps = std::min<int64_t>((packets + 31) / 32, kScanOneThreads / 32);
    launch(cx, "scan/one", 1u, static_cast<unsigned>(std::max<int64_t>(warps, 1) * 32), shared,
           &scanOne<T>, from, n, to, total);
  };
  if (count <= 2 * scanTile<T>(kScanOneThreads)) return one(in, count, out);
  const unsigned tiles = blocksFor(count, scanTile<T>(kScanThreads));
  const Workspace space(cx, tiles * sizeof(T));
  T* sums = space.data<T>();
  launch(cx, "scan/sums", tiles, kScanThreads, shared, &scanSums<T>, in, count, sums);
  one(sums, tiles, sums);
  launch(cx, "scan/tiles", tiles, kScanThreads, shared, &scanTiles<T>, in, count, sums, out);
}

}  // namespace rvx::cuda
