// What a backend is: for every operation of ops.h, run<Op>. Each lives in
// native/<backend>/<operation>.cpp (.cu) as a full specialisation; the addon's table of operations
// refers to all of them, so an addon with one missing does not load.
#pragma once
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "ops/operation.h"

namespace rvx {

namespace cpu {
template <class Op>
void run(const Op& op, Context& cx);
}

namespace cuda {
template <class Op>
void run(const Op& op, Context& cx);

// The first CUDA device. Throws DeviceUnavailable with the reason.
std::shared_ptr<Device> makeDevice();
// Why there is no CUDA device; empty if there is one.
std::string unavailableReason();
// The name that this backend's device goes by: "cuda", or "cuda-sim" in a test build whose kernels run on the CPU.
std::string deviceName();

// What a simulated launch did. A sector is 32 bytes of global memory. Of `blocks` blocks `blocksRun` ran.
struct SimulatedLaunch {
  std::string name;
  uint64_t blocks = 0, blocksRun = 0, threads = 0, sharedBytes = 0;
  // Sectors that warps asked for, and how many different ones these were.
  uint64_t readRequested = 0, writeRequested = 0, readTouched = 0, writeTouched = 0;
  uint64_t mma = 0;  // m16n8k16 products of warps: 4096 FLOPs each
  uint64_t atomics = 0, barriers = 0;
  // Shared-memory accesses of a warp (of its halves and quarters for wide values), and the passes beyond one that they took.
  uint64_t sharedAccesses = 0, bankConflicts = 0;
};

// The hold that tests and benches have on a simulated GPU.
class Simulator {
 public:
  struct Time {
    uint64_t launches = 0;
    double seconds = 0;
  };
  virtual ~Simulator() = default;
  // The call-th driver call from now fails with a CUDA error code (0: none does), and so do those after it until `times` have, but for
  // calls that give memory back. Mends a lost device for the next one.
  virtual void failCall(int64_t call, int code, int64_t times) = 0;
  // Driver calls since then.
  virtual int64_t calls() = 0;
  // Waits since then that found copies under way.
  virtual int64_t waits() = 0;
  // Waits return at once and nothing is done: as if the backend had forgotten them. Until the next failCall.
  virtual void forgetWaits() = 0;
  // "mixed", "roundRobin" or "warpGreedy"; the seed of all orders.
  virtual void schedule(const std::string& name, int64_t seed) = 0;
  // Counts launches from now on, running every sample-th block of each; 0 stops.
  virtual void count(int64_t sample) = 0;
  virtual std::vector<SimulatedLaunch> counted() = 0;
  // Host seconds of each kernel since the start.
  virtual std::map<std::string, Time> times() = 0;
  // The small kernels of sim/mutants.cu: "x" is right, "x/broken" lacks what it needs.
  virtual std::vector<std::string> mutants() = 0;
  // Runs one of them on data of its own under the schedule that is set: what is wrong with its result, or the text of its fault;
  // empty where nothing is.
  virtual std::string runMutant(const std::string& name) = 0;
};
// nullptr but in a build with the simulated GPU.
Simulator* simulator();
}  // namespace cuda

}  // namespace rvx
