// A Device: memory, a queue of jobs that run in order on a thread of its own, and counters of what
// crossed its border.
#pragma once
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "core/allocator.h"
#include "core/error.h"
#include "core/tensor.h"

namespace rvx {

// Set by an AbortSignal; jobs that were enqueued under it and have not begun fail with AbortError.
class CancelToken {
 public:
  // `reason` is handed on as the error's cause. The first call counts.
  void cancel(std::shared_ptr<void> reason) {
    if (cancelled_) return;
    reason_ = std::move(reason);
    cancelled_ = true;
  }
  bool cancelled() const { return cancelled_; }
  // Only where cancelled().
  const std::shared_ptr<void>& reason() const { return reason_; }

 private:
  std::shared_ptr<void> reason_;  // written before the flag, never after
  std::atomic<bool> cancelled_{false};
};

// Runs a job only if counts[index] > 0, read from the device when the job's turn comes (a read-back
// of four bytes that never reaches JS). The outputs of a job that was not run read as zeros.
struct Guard {
  Tensor counts;  // i32
  int64_t index = 0;
};

struct Job {
  const char* name = "";
  std::vector<Tensor> inputs, inouts, outputs;
  std::function<void()> run;
  // Any of the tokens drops the job; all of the guards must allow it.
  std::vector<std::shared_ptr<CancelToken>> tokens;
  std::vector<Guard> guards;
};

// Bytes that crossed the border between host and device. Voxel data are uploads and downloads;
// read-backs are the small figures (guards) that native code alone looks at.
struct TransferCounters {
  std::atomic<uint64_t> uploads{0}, uploadBytes{0}, downloads{0}, downloadBytes{0}, readbacks{0},
      readbackBytes{0};
};

enum class DeviceKind { cpu, cuda };

struct DeviceInfo {
  std::string name;
  int capability = 0;  // of CUDA: 10 * major + minor; 0 on the CPU
  int multiprocessors = 0;
  uint64_t memory = 0;  // bytes
};

class Device : public std::enable_shared_from_this<Device> {
 public:
  Device(DeviceKind kind, std::unique_ptr<MemorySource> source);
  virtual ~Device();

  const DeviceKind kind;
  Allocator& allocator() { return allocator_; }
  TransferCounters transfers;

  virtual DeviceInfo info() const = 0;

  // Copies between host and device and fills, in queue order. Queue thread only.
  virtual void copyIn(void* device, const void* host, size_t bytes) = 0;
  virtual void copyOut(void* host, const void* device, size_t bytes) = 0;
  virtual void fillZero(void* device, size_t bytes) = 0;
  // Waits until the device has done all that was handed to it. Queue thread only.
  virtual void synchronize() {}

  Tensor makeTensor(const Shape& shape, DType dtype);

  // Appends a job; returns at once. Throws DisposedError after close().
  void enqueue(Job job);
  // Copies tensors into host memory as soon as the jobs already enqueued that write them are done,
  // then calls done(error or nullptr) on the queue thread. `hosts` must stay valid until then.
  void read(std::vector<Tensor> tensors, std::vector<void*> hosts,
            std::function<void(const Error*)> done);
  // Calls done on the queue thread when everything enqueued so far has run.
  void drain(std::function<void(const Error*)> done);

  // Stops the queue: the running job gives up at its next task, the rest is dropped without running,
  // the thread is joined. Idempotent. Any thread but the queue's.
  void close();
  bool closed() const { return closed_.load(); }

 protected:
  // From now on all that is queued or comes fails with this error. The first call counts. Queue thread only.
  void markLost(const Error& error);

 private:
  struct Read {
    uint64_t after;
    std::vector<Tensor> tensors;
    std::vector<void*> hosts;
    std::function<void(const Error*)> done;
  };

  void start();
  void loop();
  void execute(Job& job);
  bool prepare(Job& job);
  bool allows(const Guard& guard);
  void copyTo(const Read& read);
  void serve(Read& read);

  std::unique_ptr<MemorySource> source_;
  Allocator allocator_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<Job> jobs_;
  std::list<Read> reads_;
  uint64_t enqueued_ = 0, finished_ = 0;
  bool stop_ = false;
  std::unique_ptr<const Error> lost_;  // written once, by the queue thread under the lock
  std::atomic<bool> closed_{false};
  std::thread thread_;
};

std::shared_ptr<Device> makeCpuDevice();

}  // namespace rvx
