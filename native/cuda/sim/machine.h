// The simulated GPU: runs the blocks of a launch one after the other, the threads of a block on fibres of one host thread.
//
// A fibre runs until its thread waits: at a barrier of the block, or at a warp function, which takes place when all 32 lanes have
// come to it. In between other threads run, in an order that a schedule makes:
//   roundRobin   every thread of the block in turn
//   warpGreedy   one warp as far as it gets before the next one begins
// Which schedule a block gets, and the order of blocks, warps and lanes, follow from a seed. A missing barrier shows under one of
// them: shared memory is filled with NaN patterns before each block, and asynchronous copies arrive only at the wait. Faults
// (a barrier that not all threads reach, lanes at different warp functions, misaligned or stray shared accesses) end the launch as
// an illegal access ends one on a GPU, with a text that says where.
//
// Not covered: races that need truly parallel threads, weak memory order, occupancy, speed.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "cuda/driver.h"
#include "math/convert.h"

namespace rvx::cuda::sim {

enum class Schedule { mixed, roundRobin, warpGreedy };

// One simulated thread, as kernels see it.
struct Lane {
  Dim3 thread;
  int lane = 0;
  int warp = 0;
};
extern Lane* self;

struct State {
  Dim3 block, threads, grid;
  unsigned char* shared = nullptr;
  size_t sharedBytes = 0;
  bool counting = false;
};
extern State state;

inline bool inShared(const void* p, size_t bytes) {
  const auto at = static_cast<size_t>(static_cast<const unsigned char*>(p) - state.shared);
  return at < state.sharedBytes && bytes <= state.sharedBytes - at;
}

enum class Meeting : int { sync, shuffle, ballot, ldmatrix, mmaBf16, mmaF16 };
struct MmaOperands {
  const uint32_t* a;
  const uint32_t* b;
};
template <class T>
constexpr bool isBf16 = false;
template <>
inline constexpr bool isBf16<Bf16> = true;

// Ends the launch; does not return.
[[noreturn]] void fault(const char* what);
void syncBlock();
// One warp function: waits for the other lanes; `in` and `out` are this lane's.
void meet(Meeting kind, const void* in, void* out, int argument);
void copyLater(void* shared, const void* global, bool valid);
void commitCopies();
void finishCopies(int allowed);

// Counting (counters.h); the call's own place in the code tells which lanes' accesses belong together.
void noteGlobal(const void* p, size_t bytes, bool write);
void noteShared(const void* p, size_t bytes);
void noteAtomic(const void* p, size_t bytes);

// Runs one launch. Empty on success, else what went wrong.
std::string run(const Launch& launch, Schedule schedule, uint64_t seed);

}  // namespace rvx::cuda::sim
