// What a launch does to memory, counted: see SimulatedLaunch in ops/backend.h for the figures.
//
// Accesses of a warp's lanes belong to one instruction where they come from the same place in the code at the same repetition
// since the warp last met; so lanes that took another branch do not disturb the count.
#pragma once
#include <array>
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "cuda/driver.h"
#include "ops/backend.h"

namespace rvx::cuda::sim {

class Counters {
 public:
  // Counts from now on; of each launch only the blocks that `sample` chooses run (1: all; n: every n-th; -n: along x only the
  // first n 32nd parts, but at least 32 n), which leaves results incomplete. 0 stops.
  void enable(int64_t sample);
  std::vector<SimulatedLaunch> take();

  void begin(const Launch& launch);
  bool skips(uint64_t block) const {
    return sample_ > 1 ? block % static_cast<uint64_t>(sample_) != 0
                       : sample_ < 0 && block % blocksX_ >= mostX_;
  }
  void end();

  void global(const void* site, const void* p, size_t bytes, bool write);
  void shared(const void* site, const void* p, size_t bytes);
  void atomic(const void* p, size_t bytes);
  void ldmatrix(const void* const* rows);
  void mma() {
    if (on_) launch_.mma++;
  }
  void meeting(int warp) {
    if (on_) flush(warp);
  }
  void barrier();
  void endBlock();

 private:
  struct Group {
    bool write = false, shared = false;
    uint32_t bytes = 0, lanes = 0;
    std::array<uint64_t, 32> addresses;  // by lane

    void add(uint64_t address);
  };
  using Pages = std::unordered_map<uint64_t, std::array<uint64_t, 2>>;

  Group& group(const void* site);
  void flush(int warp);
  void flushAll();
  void settle(const Group& group);
  static void touch(Pages& pages, uint64_t sector);
  static uint64_t count(const Pages& pages);
  // Passes that the 32 banks of 4 bytes need for these accesses, and the least that any addresses would need.
  void banks(const std::array<uint64_t, 32>& addresses, uint32_t lanes, uint32_t bytes);

  bool on_ = false;
  int64_t sample_ = 1;
  uint64_t blocksX_ = 1, mostX_ = 1;
  SimulatedLaunch launch_;
  std::vector<SimulatedLaunch> launches_;
  Pages read_, written_;
  std::vector<std::unordered_map<uint64_t, Group>> groups_;             // by warp
  std::vector<std::unordered_map<const void*, uint32_t>> repetitions_;  // by thread
};

Counters& counters();

}  // namespace rvx::cuda::sim
