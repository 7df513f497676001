// The CPU as a device: memory from the system, copies by the work pool.
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>

#include "core/device.h"
#include "core/pool.h"

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

class CpuDevice : public Device {
 public:
  CpuDevice() : Device(DeviceKind::cpu, std::make_unique<SystemMemory>()) {}
  ~CpuDevice() override { close(); }

  void copyIn(void* device, const void* host, size_t bytes) override { copy(device, host, bytes); }
  void copyOut(void* host, const void* device, size_t bytes) override { copy(host, device, bytes); }
  void fillZero(void* device, size_t bytes) override { std::memset(device, 0, bytes); }

 private:
  static void copy(void* to, const void* from, size_t bytes) {
    parallelChunks(static_cast<int64_t>(bytes), int64_t{8} << 20, [&](int64_t begin, int64_t end) {
      std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                  static_cast<size_t>(end - begin));
    });
  }
};

}  // namespace

std::shared_ptr<Device> makeCpuDevice() { return std::make_shared<CpuDevice>(); }

}  // namespace rvx
