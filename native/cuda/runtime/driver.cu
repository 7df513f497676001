// The CUDA runtime, linked statically, as a driver. Nothing is called before someone asks for the device, so that the addon loads
// where there is no driver.
#include <cuda_runtime.h>

#include <mutex>
#include <set>

#include "cuda/driver.h"
#include "cuda/openFailure.h"
#include "ops/backend.h"

namespace rvx::cuda {

const char* const kDeviceName = "cuda";

namespace {

// Compiled for every chip that this build is for: whether it can be found tells whether the others can.
__global__ void probe() {}

class RuntimeDriver : public Driver {
 public:
  // Code of the first call that failed.
  int open() {
    int code = cudaSetDevice(0);
    if (code == kSuccess) code = cudaGetDeviceProperties(&properties_, 0);
    cudaFuncAttributes attributes;
    if (code == kSuccess)
      code = cudaFuncGetAttributes(&attributes, reinterpret_cast<const void*>(&probe));
    if (code == kSuccess) code = cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking);
    if (code != kSuccess) cudaGetLastError();
    return code;
  }
  ~RuntimeDriver() override {
    if (stream_) cudaStreamDestroy(stream_);
  }

  Chip chip() override {
    Chip c;
    c.name = properties_.name;
    c.major = properties_.major;
    c.minor = properties_.minor;
    c.multiprocessors = properties_.multiProcessorCount;
    c.sharedPerBlock = properties_.sharedMemPerBlockOptin;
    c.memory = properties_.totalGlobalMem;
    return c;
  }
  std::string errorText(int code) override {
    return cudaGetErrorString(static_cast<cudaError_t>(code));
  }

  int state() override {
    const int code = end(cudaStreamQuery(stream_));
    return isSticky(code) ? code : kSuccess;
  }

  int allocate(void** data, size_t bytes) override { return end(cudaMalloc(data, bytes)); }
  int release(void* data) override { return end(cudaFree(data)); }
  int allocatePinned(void** data, size_t bytes) override {
    return end(cudaMallocHost(data, bytes));
  }
  int releasePinned(void* data) override { return end(cudaFreeHost(data)); }
  int copyIn(void* to, const void* from, size_t bytes) override {
    return end(cudaMemcpyAsync(to, from, bytes, cudaMemcpyHostToDevice, stream_));
  }
  int copyOut(void* to, const void* from, size_t bytes) override {
    return end(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToHost, stream_));
  }
  int copy(void* to, const void* from, size_t bytes) override {
    return end(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, stream_));
  }
  int fill(void* device, int byte, size_t bytes) override {
    return end(cudaMemsetAsync(device, byte, bytes, stream_));
  }
  int launch(const Launch& l) override {
    if (l.shared > 48 * 1024)
      if (const int code = allowShared(l.kernel)) return code;
    return end(cudaLaunchKernel(l.kernel, dim3(l.blocks.x, l.blocks.y, l.blocks.z),
                                dim3(l.threads, 1, 1), l.arguments, l.shared, stream_));
  }
  int createEvent(Event* event) override {
    // Waiting threads sleep: the machine's cores belong to others meanwhile.
    return end(
        cudaEventCreateWithFlags(reinterpret_cast<cudaEvent_t*>(event), cudaEventBlockingSync));
  }
  int destroyEvent(Event event) override {
    return end(cudaEventDestroy(static_cast<cudaEvent_t>(event)));
  }
  int record(Event event) override {
    return end(cudaEventRecord(static_cast<cudaEvent_t>(event), stream_));
  }
  int wait(Event event) override {
    return end(cudaEventSynchronize(static_cast<cudaEvent_t>(event)));
  }
  int elapsed(float* milliseconds, Event from, Event to) override {
    return end(cudaEventElapsedTime(milliseconds, static_cast<cudaEvent_t>(from),
                                    static_cast<cudaEvent_t>(to)));
  }

 private:
  // An error that is not sticky stays in the runtime until it is asked for, and would be taken for the next call's.
  static int end(cudaError_t code) {
    if (code != cudaSuccess) cudaGetLastError();
    return code;
  }
  int allowShared(const void* kernel) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (allowed_.count(kernel)) return kSuccess;
    const int code =
        end(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                 static_cast<int>(properties_.sharedMemPerBlockOptin)));
    if (code == kSuccess) allowed_.insert(kernel);
    return code;
  }

  cudaDeviceProp properties_{};
  cudaStream_t stream_ = nullptr;
  std::mutex mutex_;
  std::set<const void*> allowed_;
};

std::string whyNot(int code) {
  OpenFailure f;
  f.code = code;
  f.text = cudaGetErrorString(static_cast<cudaError_t>(code));
  cudaDriverGetVersion(&f.driver);
  cudaRuntimeGetVersion(&f.runtime);
  cudaDeviceProp p{};
  if (f.driver > 0 && cudaGetDeviceProperties(&p, 0) == cudaSuccess)
    f.chip = p.name, f.major = p.major, f.minor = p.minor;
  cudaGetLastError();
  return reasonOf(f);
}

}  // namespace

std::unique_ptr<Driver> openDriver(std::string* reason) {
  int count = 0;
  int code = cudaGetDeviceCount(&count);
  if (code == kSuccess && count == 0) code = kNoDevice;
  if (code == kSuccess) {
    auto driver = std::make_unique<RuntimeDriver>();
    code = driver->open();
    if (code == kSuccess) return driver;
  }
  *reason = whyNot(code);
  return nullptr;
}

Simulator* simulator() { return nullptr; }

}  // namespace rvx::cuda
