#include "cuda/device.h"

#include <algorithm>
#include <cstring>
#include <functional>
#include <mutex>

#include "core/pool.h"
#include "ops/backend.h"

namespace rvx::cuda {
namespace {

// Large enough to hide the latency of a copy, small enough that filling one slot overlaps the
// transfer of another: 4 MiB take about 80 us over PCIe 5 and 400 us to fill from one thread.
constexpr size_t kLargeBytes = size_t{4} << 20;
constexpr int kLargeSlots = 4;
// Tables of a few bytes: the host may be so many ahead of the GPU.
constexpr size_t kSmallBytes = size_t{4} << 10;
constexpr int kSmallSlots = 64;

// Memory of the driver. Want of memory is the allocator's to deal with; other failures are the device's.
class DriverMemory : public MemorySource {
 public:
  DriverMemory(std::shared_ptr<Driver> driver, std::function<void(int)> onFailure,
               std::function<bool()> makeRoom)
      : driver_(std::move(driver)),
        onFailure_(std::move(onFailure)),
        makeRoom_(std::move(makeRoom)) {}
  void* allocate(size_t bytes) override {
    void* data = nullptr;
    const int code = driver_->allocate(&data, bytes);
    if (code != kSuccess && code != kOutOfMemory) onFailure_(code);
    return code == kSuccess ? data : nullptr;
  }
  // A lost device refuses to free; its memory went with it.
  void release(void* data, size_t) override { driver_->release(data); }
  bool makeRoom() override { return makeRoom_(); }

 private:
  const std::shared_ptr<Driver> driver_;
  const std::function<void(int)> onFailure_;
  const std::function<bool()> makeRoom_;
};

// The process's devices: they share one GPU, all of whose memory each may cache.
struct Devices {
  std::mutex mutex;
  std::vector<GpuDevice*> all;
};
Devices& devices() {
  static auto* const one = new Devices;
  return *one;
}

// Whether another device gave back what it had cached. One that is just allocating or freeing is passed over, or two that are out of
// memory would wait for each other.
bool releaseOthers(const GpuDevice* but) {
  const std::lock_guard<std::mutex> lock(devices().mutex);
  bool any = false;
  for (GpuDevice* device : devices().all)
    if (device != but && device->allocator().tryReleaseCache()) any = true;
  return any;
}

void parallelCopy(void* to, const void* from, size_t bytes) {
  parallelChunks(static_cast<int64_t>(bytes), int64_t{1} << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(static_cast<char*>(to) + begin, static_cast<const char*>(from) + begin,
                static_cast<size_t>(end - begin));
  });
}

}  // namespace

GpuDevice::GpuDevice(std::shared_ptr<Driver> driver)
    : Device(DeviceKind::cuda, std::make_unique<DriverMemory>(
                                   driver, [this](int code) { check(code, "Allocation"); },
                                   [this] { return releaseOthers(this); })),
      driver_(std::move(driver)),
      chip_(driver_->chip()),
      large_(kLargeBytes, kLargeSlots, 1),
      small_(kSmallBytes, kSmallSlots, kSmallSlots) {
  allocator().setLimit(chip_.memory);
  allocator().keepAll();
  const std::lock_guard<std::mutex> lock(devices().mutex);
  devices().all.push_back(this);
}

GpuDevice::~GpuDevice() {
  {
    const std::lock_guard<std::mutex> lock(devices().mutex);
    auto& all = devices().all;
    all.erase(std::find(all.begin(), all.end(), this));
  }
  close();
  for (Ring* ring : {&large_, &small_}) {
    for (Slot& slot : ring->slots) {
      if (slot.busy && !slot.recorded) driver_->record(slot.done);
      if (slot.busy) driver_->wait(slot.done);
      if (slot.done) driver_->destroyEvent(slot.done);
    }
    for (size_t i = 0; i < ring->slots.size(); i += ring->together)
      if (ring->slots[i].data) driver_->releasePinned(ring->slots[i].data);
  }
  for (const Event mark : marks_) driver_->destroyEvent(mark);
}

void GpuDevice::check(int code, const char* what) {
  if (code == kSuccess) return;
  const std::string text = std::string(what) + " failed: " + driver_->errorText(code) +
                           " (CUDA error " + std::to_string(code) + ")";
  if (code == kOutOfMemory) throw Error("OutOfMemory", text);
  if (!isSticky(code)) throw Error("InternalError", text);
  const Error lost(
      "DeviceLost",
      text +
          ". The device is lost, and with it CUDA in this process: start another process. A fault "
          "of a "
          "kernel shows here, or at an operation before; CUDA_LAUNCH_BLOCKING=1 tells which");
  markLost(lost);
  throw lost;
}

GpuDevice::Ring& GpuDevice::ringFor(size_t bytes) {
  return bytes <= small_.slotBytes ? small_ : large_;
}

// The next slot in turn, with its last copy done.
GpuDevice::Slot& GpuDevice::freeSlot(Ring& ring) {
  Slot& slot = ring.slots[ring.next];
  if (!slot.data) {
    void* data = nullptr;
    check(driver_->allocatePinned(&data, ring.slotBytes * ring.together),
          "Allocation of pinned memory");
    for (size_t i = 0; i < ring.together; ++i)
      ring.slots[ring.next + i].data = static_cast<char*>(data) + i * ring.slotBytes;
  }
  if (!slot.done) {
    const int code = driver_->createEvent(&slot.done);
    if (code != kSuccess) slot.done = nullptr;
    check(code, "Creation of an event");
  }
  await(slot);
  ring.next = (ring.next + 1) % ring.slots.size();
  return slot;
}

void GpuDevice::record(Slot& slot) {
  slot.busy = true;
  slot.recorded = false;
  check(driver_->record(slot.done), "Recording an event");
  slot.recorded = true;
}

void GpuDevice::await(Slot& slot) {
  if (!slot.busy) return;
  // Where no event could be recorded behind the copy, one behind later work tells as well.
  if (!slot.recorded) record(slot);
  check(driver_->wait(slot.done), "Waiting for the GPU");
  slot.busy = false;
}

void GpuDevice::copyIn(void* device, const void* host, size_t bytes) {
  Ring& ring = ringFor(bytes);
  for (size_t at = 0; at < bytes; at += ring.slotBytes) {
    const size_t part = std::min(ring.slotBytes, bytes - at);
    Slot& slot = freeSlot(ring);
    parallelCopy(slot.data, static_cast<const char*>(host) + at, part);
    check(driver_->copyIn(static_cast<char*>(device) + at, slot.data, part), "Upload");
    record(slot);
  }
}

void GpuDevice::copyOut(void* host, const void* device, size_t bytes) {
  Ring& ring = ringFor(bytes);
  // One part is fetched while the part before it is copied out of its slot.
  Slot* before = nullptr;
  size_t beforeAt = 0, beforePart = 0;
  const auto finish = [&] {
    if (!before) return;
    await(*before);
    parallelCopy(static_cast<char*>(host) + beforeAt, before->data, beforePart);
  };
  for (size_t at = 0; at < bytes; at += ring.slotBytes) {
    const size_t part = std::min(ring.slotBytes, bytes - at);
    Slot& slot = freeSlot(ring);
    check(driver_->copyOut(slot.data, static_cast<const char*>(device) + at, part), "Download");
    record(slot);
    finish();
    before = &slot, beforeAt = at, beforePart = part;
  }
  finish();
}

void GpuDevice::synchronize() {
  Slot& slot = freeSlot(small_);
  record(slot);
  await(slot);
}

void GpuDevice::mark() {
  Event event = nullptr;
  check(driver_->createEvent(&event), "Creation of an event");
  marks_.push_back(event);
  check(driver_->record(event), "Recording an event");
}

std::vector<double> GpuDevice::takeMarks() {
  const std::vector<Event> marks = std::move(marks_);
  marks_.clear();
  std::vector<double> times;
  times.reserve(marks.size());
  int code = kSuccess;
  for (const Event mark : marks) {
    float milliseconds = 0;
    if (code == kSuccess) code = driver_->elapsed(&milliseconds, marks.front(), mark);
    times.push_back(static_cast<double>(milliseconds));
  }
  for (const Event mark : marks) driver_->destroyEvent(mark);
  // Not by check(): this is not the queue's thread, which alone may mark a device lost.
  if (code != kSuccess) throw Error("InternalError", "Timing failed: " + driver_->errorText(code));
  return times;
}

void GpuDevice::copy(void* to, const void* from, size_t bytes) {
  if (bytes) check(driver_->copy(to, from, bytes), "Copy");
}

void GpuDevice::fill(void* device, int byte, size_t bytes) {
  if (bytes) check(driver_->fill(device, byte, bytes), "Fill");
}

void GpuDevice::launch(const Launch& launch) {
  int code = driver_->launch(launch);
  if (code == kOutOfMemory) {
    // A kernel's first launch may load its module, which takes memory that the cache holds.
    allocator().releaseCache();
    code = driver_->launch(launch);
    if (code == kOutOfMemory && releaseOthers(this)) code = driver_->launch(launch);
  }
  if (code != kSuccess) check(code, (std::string("Kernel ") + launch.name).c_str());
}

namespace {

// Devices share the driver, as they share the GPU. A failure is not kept: want of memory and a GPU that others hold pass.
std::shared_ptr<Driver> opened(std::string* reason) {
  static std::mutex mutex;
  static auto* const one = new std::shared_ptr<Driver>;
  const std::lock_guard<std::mutex> lock(mutex);
  if (!*one) *one = openDriver(reason);
  return *one;
}

}  // namespace

std::string unavailableReason() {
  std::string reason;
  opened(&reason);
  return reason;
}

std::string deviceName() { return kDeviceName; }

std::shared_ptr<Device> makeDevice() {
  std::string reason;
  const std::shared_ptr<Driver> driver = opened(&reason);
  if (!driver) throw Error("DeviceUnavailable", "No CUDA device: " + reason);
  // A sticky error stays with the process, whichever device met it.
  if (const int code = driver->state(); code != kSuccess)
    throw Error("DeviceUnavailable",
                "No CUDA device: an earlier error made CUDA unusable in this process (" +
                    driver->errorText(code) + ", CUDA error " + std::to_string(code) +
                    "); start another process");
  return std::make_shared<GpuDevice>(driver);
}

}  // namespace rvx::cuda
