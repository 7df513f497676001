// The simulated GPU as a driver: memory of the host, launches by machine.cpp, and calls that fail when a test says so.
//
// Work is done at once, but what a copy brings to pinned memory appears there only when the host waits for an event behind it (until
// then it is poisoned), and pinned memory that a copy still needs may not be used for another.
#include "cuda/driver.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>
#include <vector>

#include "cuda/openFailure.h"
#include "cuda/sim/counters.h"
#include "cuda/sim/machine.h"
#include "cuda/sim/mutants.h"
#include "ops/backend.h"

namespace rvx::cuda {

const char* const kDeviceName = "cuda-sim";

namespace {

using Clock = std::chrono::steady_clock;

struct Recorded {
  Clock::time_point time;
  uint64_t work = 0;  // what had been given to the stream
};

// A copy that the host does not know to be done. `arrived`: what it brings to pinned memory.
struct Copy {
  char* pinned;
  size_t bytes;
  uint64_t work;
  std::vector<char> arrived;
};

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
    return begin(true);
  }
  int allocatePinned(void** data, size_t bytes) override {
    const int code = allocate(data, bytes);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (code == kSuccess) pinned_[static_cast<char*>(*data)] = bytes;
    return code;
  }
  int releasePinned(void* data) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto one = pinned_.find(static_cast<char*>(data));
      if (one != pinned_.end()) {
        dropCopies(one->first, one->second);
        pinned_.erase(one);
      }
    }
    return release(data);
  }
  int copyIn(void* to, const void* from, size_t bytes) override {
    if (const int code = begin()) return code;
    const std::lock_guard<std::mutex> lock(mutex_);
    auto* pinned = static_cast<char*>(const_cast<void*>(from));
    if (const int code = take(pinned, bytes)) return code;
    std::memcpy(to, from, bytes);
    copies_.push_back({pinned, bytes, ++work_, {}});
    return kSuccess;
  }
  int copyOut(void* to, const void* from, size_t bytes) override {
    if (const int code = begin()) return code;
    const std::lock_guard<std::mutex> lock(mutex_);
    auto* pinned = static_cast<char*>(to);
    if (const int code = take(pinned, bytes)) return code;
    const auto* values = static_cast<const char*>(from);
    copies_.push_back({pinned, bytes, ++work_, std::vector<char>(values, values + bytes)});
    std::memset(pinned, 0xa5, bytes);
    return kSuccess;
  }
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
    if (launch.shared > sharedPerBlock_ || launch.blocks.y > 65535 || launch.blocks.z > 65535)
      return 1;
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
    *event = new Recorded;
    return kSuccess;
  }
  int destroyEvent(Event event) override {
    delete static_cast<Recorded*>(event);
    return kSuccess;
  }
  int record(Event event) override {
    if (const int code = begin()) return code;
    const std::lock_guard<std::mutex> lock(mutex_);
    *static_cast<Recorded*>(event) = {Clock::now(), ++work_};
    return kSuccess;
  }
  int wait(Event event) override {
    if (const int code = begin()) return code;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (forgetful_) return kSuccess;
    const uint64_t work = static_cast<Recorded*>(event)->work;
    bool any = false;
    for (Copy& c : copies_) {
      if (c.work > work) continue;
      any = true;
      if (!c.arrived.empty()) std::memcpy(c.pinned, c.arrived.data(), c.bytes);
    }
    const auto done = [&](const Copy& c) { return c.work <= work; };
    copies_.erase(std::remove_if(copies_.begin(), copies_.end(), done), copies_.end());
    waits_ += any;
    return kSuccess;
  }
  int elapsed(float* milliseconds, Event from, Event to) override {
    *milliseconds = std::chrono::duration<float, std::milli>(static_cast<Recorded*>(to)->time -
                                                             static_cast<Recorded*>(from)->time)
                        .count();
    return kSuccess;
  }

  // Simulator
  void failCall(int64_t call, int code, int64_t times) override {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_ = waits_ = 0;
    failing_ = call;
    left_ = call > 0 ? times : 0;
    code_ = code;
    forgetful_ = false;
    sticky_ = kSuccess;
    lastFault_.clear();
  }
  int64_t calls() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return calls_;
  }
  int64_t waits() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    return waits_;
  }
  void forgetWaits() override {
    const std::lock_guard<std::mutex> lock(mutex_);
    forgetful_ = true;
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
  int begin(bool givesBack = false) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (sticky_ != kSuccess) return sticky_;
    ++calls_;
    if (left_ == 0 || calls_ < failing_ || (givesBack && calls_ > failing_)) return kSuccess;
    left_--;
    if (isSticky(code_)) sticky_ = code_;
    return code_;
  }
  // Pinned memory for a new copy. Under the lock, as what follows.
  int take(const char* pinned, size_t bytes) {
    for (const Copy& c : copies_) {
      if (c.pinned + c.bytes <= pinned || pinned + bytes <= c.pinned) continue;
      lastFault_ = "pinned memory is used again before its last copy is known to be done";
      return sticky_ = kLaunchFailure;
    }
    return kSuccess;
  }
  void dropCopies(const char* pinned, size_t bytes) {
    const auto inside = [&](const Copy& c) {
      return c.pinned >= pinned && c.pinned < pinned + bytes;
    };
    copies_.erase(std::remove_if(copies_.begin(), copies_.end(), inside), copies_.end());
  }

  std::mutex mutex_;
  const size_t sharedPerBlock_ = chip().sharedPerBlock;
  int64_t calls_ = 0, failing_ = 0, left_ = 0, waits_ = 0;
  int code_ = 0, sticky_ = kSuccess;
  bool forgetful_ = false;
  uint64_t work_ = 0;  // given to the stream so far
  std::vector<Copy> copies_;
  std::map<char*, size_t> pinned_;
  sim::Schedule schedule_ = sim::Schedule::mixed;
  uint64_t seed_ = 1, launches_ = 0;
  std::string lastFault_;
  std::map<std::string, Time> times_;
};

SimDriver* theDriver = nullptr;

}  // namespace

// RENVOX_SIM_OPEN=2,35/12040: the first two openings fail with these codes, the second with a driver for CUDA 12.4.
std::unique_ptr<Driver> openDriver(std::string* reason) {
  static std::istringstream failures(std::getenv("RENVOX_SIM_OPEN") ? std::getenv("RENVOX_SIM_OPEN")
                                                                    : "");
  if (std::string one; std::getline(failures, one, ',')) {
    const size_t slash = one.find('/');
    OpenFailure f;
    f.code = std::atoi(one.c_str());
    f.text = "simulated error";
    f.driver = slash == std::string::npos ? 13000 : std::atoi(one.c_str() + slash + 1);
    f.runtime = 13000;
    f.chip = "Tesla P4", f.major = 6, f.minor = 1;
    *reason = reasonOf(f);
    return nullptr;
  }
  auto driver = std::make_unique<SimDriver>();
  theDriver = driver.get();
  return driver;
}

Simulator* simulator() {
  unavailableReason();  // opens the driver
  return theDriver;
}

}  // namespace rvx::cuda
