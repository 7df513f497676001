// The simulated GPU as a driver: memory of the host, launches by machine.cpp, and calls that fail when a test says so.
#include "cuda/driver.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <mutex>

#include "cuda/sim/counters.h"
#include "cuda/sim/machine.h"
#include "cuda/sim/mutants.h"
#include "ops/backend.h"

namespace rvx::cuda {

const char* const kDeviceName = "cuda-sim";

namespace {

using Clock = std::chrono::steady_clock;

class SimDriver : public Driver, public Simulator {
 public:
  Chip chip() override {
    // Smaller chips choose other tiles: RENVOX_SIM_CHIP=75 is a T4, 86 an A10. Unset: an H100.
    struct Known {
      const char* name;
      int major, minor, multiprocessors, sharedKiB;
    };
    static const Known chips[] = {
        {"90", 9, 0, 132, 227}, {"75", 7, 5, 40, 64}, {"80", 8, 0, 108, 163}, {"86", 8, 6, 72, 99}};
    const char* wanted = std::getenv("RENVOX_SIM_CHIP");
    Chip c;
    c.name = "simulated GPU";
    c.memory = uint64_t{8} << 30;
    for (const Known& k : chips) {
      const bool first = &k == &chips[0];
      if (!first && !(wanted && std::strcmp(wanted, k.name) == 0)) continue;
      c.major = k.major, c.minor = k.minor;
      c.multiprocessors = k.multiprocessors;
      c.sharedPerBlock = static_cast<size_t>(k.sharedKiB) * 1024;
    }
    return c;
  }
  std::string errorText(int code) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!lastFault_.empty() && code == kLaunchFailure) return lastFault_;
    switch (code) {
      case kOutOfMemory:
        return "out of memory";
      case kIllegalAddress:
        return "an illegal memory access was encountered";
      case kLaunchFailure:
        return "unspecified launch failure";
      default:
        return "simulated error";
    }
  }

  int state() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sticky_;
  }

  int allocate(void** data, size_t bytes) override {
    if (const int code = begin()) return code;
    *data = std::aligned_alloc(256, (bytes + 255) & ~size_t{255});
    return *data ? kSuccess : kOutOfMemory;
  }
  int release(void* data) override {
    std::free(data);  // whatever the state: a free must not leak
    return begin();
  }
  int allocatePinned(void** data, size_t bytes) override { return allocate(data, bytes); }
  int releasePinned(void* data) override { return release(data); }
  int copyIn(void* to, const void* from, size_t bytes) override { return copy(to, from, bytes); }
  int copyOut(void* to, const void* from, size_t bytes) override { return copy(to, from, bytes); }
  int copy(void* to, const void* from, size_t bytes) override {
    if (const int code = begin()) return code;
    std::memmove(to, from, bytes);
    return kSuccess;
  }
  int fill(void* device, int byte, size_t bytes) override {
    if (const int code = begin()) return code;
    std::memset(device, byte, bytes);
    return kSuccess;
  }
  int launch(const Launch& launch) override {
    if (const int code = begin()) return code;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (launch.shared > 227 * 1024 || launch.blocks.y > 65535 || launch.blocks.z > 65535) return 1;
    const auto from = Clock::now();
    const std::string error = sim::run(launch, schedule_, seed_ + 7919 * ++launches_);
    Time& time = times_[launch.name];
    time.seconds += std::chrono::duration<double>(Clock::now() - from).count();
    time.launches++;
    if (error.empty()) return kSuccess;
    lastFault_ = error;
    sticky_ = kLaunchFailure;
    return kLaunchFailure;
  }
  int createEvent(Event* event) override {
    if (const int code = begin()) return code;
    *event = new Clock::time_point;
    return kSuccess;
  }
  int destroyEvent(Event event) override {
    delete static_cast<Clock::time_point*>(event);
    return kSuccess;
  }
  int record(Event event) override {
    if (const int code = begin()) return code;
    *static_cast<Clock::time_point*>(event) = Clock::now();
    return kSuccess;
  }
  int wait(Event) override { return begin(); }
  int elapsed(float* milliseconds, Event from, Event to) override {
    *milliseconds = std::chrono::duration<float, std::milli>(*static_cast<Clock::time_point*>(to) -
                                                             *static_cast<Clock::time_point*>(from))
                        .count();
    return kSuccess;
  }

  // Simulator
  void failCall(int64_t call, int code) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_ = 0;
    failing_ = call;
    code_ = code;
    sticky_ = kSuccess;
    lastFault_.clear();
  }
  int64_t calls() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }
  void schedule(const std::string& name, int64_t seed) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    schedule_ = name == "roundRobin"   ? sim::Schedule::roundRobin
                : name == "warpGreedy" ? sim::Schedule::warpGreedy
                                       : sim::Schedule::mixed;
    seed_ = static_cast<uint64_t>(seed);
    launches_ = 0;
  }
  void count(int64_t sample) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    sim::counters().enable(sample);
  }
  std::vector<SimulatedLaunch> counted() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sim::counters().take();
  }
  std::map<std::string, Time> times() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return times_;
  }
  std::vector<std::string> mutants() override { return sim::mutantNames(); }
  std::string runMutant(const std::string& name) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return sim::runMutant(name, schedule_, seed_ + 7919 * ++launches_);
  }

 private:
  // Counts a call; what it shall return if it is not to be done.
  int begin() {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (sticky_ != kSuccess) return sticky_;
    if (++calls_ != failing_) return kSuccess;
    if (isSticky(code_)) sticky_ = code_;
    return code_;
  }

  std::mutex mutex_;
  int64_t calls_ = 0, failing_ = 0;
  int code_ = 0, sticky_ = kSuccess;
  sim::Schedule schedule_ = sim::Schedule::mixed;
  uint64_t seed_ = 1, launches_ = 0;
  std::string lastFault_;
  std::map<std::string, Time> times_;
};

SimDriver* theDriver = nullptr;

}  // namespace

std::unique_ptr<Driver> openDriver(std::string*) {
  auto driver = std::make_unique<SimDriver>();
  theDriver = driver.get();
  return driver;
}

Simulator* simulator() {
  unavailableReason();  // opens the driver
  return theDriver;
}

}  // namespace rvx::cuda
