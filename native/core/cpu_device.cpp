// The CPU as a device: memory from the system, copies by the work pool.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>

#include "core/device.h"
#include "core/pool.h"
#include "core/stopwatch.h"

namespace rvx {
namespace {

constexpr size_t kMapped = size_t{1} << 20;

// Large blocks are mapped one by one, so that the system has them back when they are released, and
// may use huge pages.
class SystemMemory : public MemorySource {
 public:
  void* allocate(size_t bytes) override {
    if (bytes < kMapped) return std::aligned_alloc(64, (bytes + 63) & ~size_t{63});
    void* data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED) return nullptr;
#ifdef MADV_HUGEPAGE
    madvise(data, bytes, MADV_HUGEPAGE);
#endif
    return data;
  }
  void release(void* data, size_t bytes) override {
    if (bytes < kMapped)
      std::free(data);
    else
      munmap(data, bytes);
  }
};

// What this process may use: the machine's memory, or its container's (control groups version 2).
// Asking for more would be granted, and end the process when it is touched.
uint64_t machineMemory() {
  uint64_t bytes = std::numeric_limits<uint64_t>::max();
#if defined(_SC_PHYS_PAGES)
  const int64_t pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  if (pages > 0 && page > 0) bytes = static_cast<uint64_t>(pages) * static_cast<uint64_t>(page);
#endif
  std::ifstream file("/sys/fs/cgroup/memory.max");
  uint64_t limit = 0;
  if (file >> limit && limit > 0) bytes = std::min(bytes, limit);
  return bytes;
}

class CpuDevice : public Device, public Stopwatch {
 public:
  CpuDevice() : Device(DeviceKind::cpu, std::make_unique<SystemMemory>()) {
    allocator().setLimit(machineMemory());
  }
  ~CpuDevice() override { close(); }

  DeviceInfo info() const override { return {"CPU", 0, poolThreads(), machineMemory()}; }

  void copyIn(void* device, const void* host, size_t bytes) override { copy(device, host, bytes); }
  void copyOut(void* host, const void* device, size_t bytes) override { copy(host, device, bytes); }
  void fillZero(void* device, size_t bytes) override { std::memset(device, 0, bytes); }
  bool readsHostMemory() const override { return true; }

  void mark() override { marks_.push_back(Clock::now()); }
  std::vector<double> takeMarks() override {
    std::vector<double> times;
    times.reserve(marks_.size());
    for (const Clock::time_point& m : marks_)
      times.push_back(std::chrono::duration<double, std::milli>(m - marks_.front()).count());
    marks_.clear();
    return times;
  }

 private:
  using Clock = std::chrono::steady_clock;

  static void copy(void* to, const void* from, size_t bytes) {
    parallelChunks(static_cast<int64_t>(bytes), int64_t{8} << 20, [&](int64_t begin, int64_t end) {
      std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                  static_cast<size_t>(end - begin));
    });
  }

  std::vector<Clock::time_point> marks_;
};

}  // namespace

std::shared_ptr<Device> makeCpuDevice() { return std::make_shared<CpuDevice>(); }

}  // namespace rvx
