// The GPU as a Device: memory of its driver, pinned staging for copies, launches, and what happens when a call fails.
//
// Everything goes to one stream, so an allocation may be reused as soon as the host has dropped it: what used it runs before
// what will. The queue thread only enqueues; it waits for the GPU where the host needs bytes (copyOut), and where all staging
// slots are still being read.
//
// A call that fails for want of memory frees the allocator's cache and is tried again. A sticky error (an illegal address, a
// lost device) makes every later call fail: the device is marked lost, queued work and new work fail with DeviceLost.
#pragma once
#include <memory>
#include <vector>

#include "core/device.h"
#include "core/stopwatch.h"
#include "cuda/driver.h"

namespace rvx::cuda {

class GpuDevice : public Device, public Stopwatch {
 public:
  explicit GpuDevice(std::shared_ptr<Driver> driver);
  ~GpuDevice() override;

  DeviceInfo info() const override {
    return {chip_.name, 10 * chip_.major + chip_.minor, chip_.multiprocessors, chip_.memory};
  }

  void copyIn(void* device, const void* host, size_t bytes) override;
  void copyOut(void* host, const void* device, size_t bytes) override;
  void fillZero(void* device, size_t bytes) override { fill(device, 0, bytes); }
  void synchronize() override;
  void mark() override;
  std::vector<double> takeMarks() override;

  void copy(void* to, const void* from, size_t bytes);
  void fill(void* device, int byte, size_t bytes);
  void launch(const Launch& launch);
  const Chip& chip() const { return chip_; }

 private:
  // Pinned memory that one copy at a time goes through, with the event behind that copy.
  struct Slot {
    void* data = nullptr;
    Event done = nullptr;
    bool busy = false, recorded = false;
  };
  // Slots that copies take in turn. So many `together` lie in one allocation, which is made when the first of them is needed.
  struct Ring {
    Ring(size_t bytes, size_t count, size_t together)
        : slotBytes(bytes), together(together), slots(count) {}
    const size_t slotBytes, together;
    std::vector<Slot> slots;
    size_t next = 0;
  };

  // Throws where `code` is not success; marks the device lost where it is sticky.
  void check(int code, const char* what);
  Ring& ringFor(size_t bytes);
  Slot& freeSlot(Ring& ring);
  // Notes that a copy through the slot is under way.
  void record(Slot& slot);
  void await(Slot& slot);

  const std::shared_ptr<Driver> driver_;
  const Chip chip_;
  Ring large_, small_;
  std::vector<Event> marks_;
};

}  // namespace rvx::cuda
