// The seam between the CUDA backend and what it runs on: the CUDA runtime (runtime.cpp) or the simulated GPU (sim/driver.cpp).
// Functions return CUDA's error codes, 0 for success, and never throw. All work goes to one stream, in order.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace rvx::cuda {

struct Dim3 {
  unsigned x = 1, y = 1, z = 1;
};

struct Chip {
  std::string name;
  int major = 0, minor = 0;  // compute capability
  int multiprocessors = 1;
  size_t sharedPerBlock = 0;  // bytes, the most that a kernel may ask for
  uint64_t memory = 0;        // bytes
  bool atLeast(int wanted) const { return 10 * major + minor >= wanted; }
};

struct Launch {
  const char* name;
  const void* kernel;
  Dim3 blocks;
  unsigned threads;
  size_t shared;
  void** arguments;
  // Calls the kernel with the arguments as an ordinary function: what the simulator does for each thread.
  void (*invoke)(const void* kernel, void** arguments);
};

using Event = void*;

// Codes that the backend treats in a way of their own (cudaError_t).
enum : int {
  kSuccess = 0,
  kOutOfMemory = 2,
  kInsufficientDriver = 35,
  kInvalidFunction = 98,
  kNoDevice = 100,
  kNoKernelImage = 209,
  kInvalidPtx = 218,
  kUnsupportedPtx = 222,
  kIllegalAddress = 700,
  kLaunchFailure = 719,
};
// After these every later call fails: the device is lost. Others of the 700s (too many resources, memory not registered) concern one
// call alone.
inline bool isSticky(int code) {
  switch (code) {
    case 46:   // devices unavailable
    case 214:  // ECC error
    case 220:  // NVLink error
    case 226:  // an error that the GPU contained, which ends the process's work all the same
    case kIllegalAddress:
    case 702:  // timeout of a kernel
    case 709:  // the context was destroyed
    case 710:  // assertion
    case 714:  // hardware stack error
    case 715:  // illegal instruction
    case 716:  // misaligned address
    case 717:  // invalid address space
    case 718:  // invalid program counter
    case kLaunchFailure:
    case 721:  // tensor memory not given back
    case 810:  // MPS ended this client
    case 911:  // error of a device outside of CUDA
    case 999:  // unknown: nobody can say what was done; where the driver has recovered, another device opens
      return true;
    default:
      return false;
  }
}

class Driver {
 public:
  virtual ~Driver() = default;
  virtual Chip chip() = 0;
  virtual std::string errorText(int code) = 0;
  // The sticky error that the process is in; success where there is none.
  virtual int state() = 0;

  virtual int allocate(void** data, size_t bytes) = 0;
  virtual int release(void* data) = 0;
  virtual int allocatePinned(void** data, size_t bytes) = 0;
  virtual int releasePinned(void* data) = 0;

  // In stream order. Host memory of the copies must be pinned and stay untouched until an event after them.
  virtual int copyIn(void* device, const void* pinned, size_t bytes) = 0;
  virtual int copyOut(void* pinned, const void* device, size_t bytes) = 0;
  virtual int copy(void* to, const void* from, size_t bytes) = 0;
  virtual int fill(void* device, int byte, size_t bytes) = 0;
  virtual int launch(const Launch& launch) = 0;

  virtual int createEvent(Event* event) = 0;
  virtual int destroyEvent(Event event) = 0;
  virtual int record(Event event) = 0;
  // Blocks this thread until all work before the event's record is done.
  virtual int wait(Event event) = 0;
  // Milliseconds of GPU time between two records that are done.
  virtual int elapsed(float* milliseconds, Event from, Event to) = 0;
};

// The driver of the first device. On failure nullptr and the reason.
std::unique_ptr<Driver> openDriver(std::string* reason);
// "cuda", or "cuda-sim" in a build with the simulated GPU.
extern const char* const kDeviceName;

}  // namespace rvx::cuda
