// Storage of tensors: a Buffer is device memory that comes to life when the operation that fills it
// runs; a Tensor is a shape over a buffer.
//
// `data`, `lender`, `state` and `error` belong to the device's queue thread (lend() sets the first two before
// there is a job); everything else is fixed when the tensor is made. Memory is given back when the last reference goes, whichever thread drops it.
#pragma once
#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "core/dtype.h"
#include "core/error.h"
#include "core/shape.h"

namespace rvx {

class Device;

// Another form of a buffer's contents (packed weights), kept beside it so that it is made once for many uses, and freed with it.
struct Companion {
  using Key = std::array<int64_t, 12>;
  static constexpr uint64_t kNever = ~uint64_t{0};
  Key key{};  // which form
  // The buffer's `written` when this was made of it; whoever finds another number there makes it again and sets this.
  uint64_t made = kNever;
  void* data = nullptr;
  size_t capacity = 0;
};

struct Buffer {
  enum class State { pending, ready, failed, skipped };

  Buffer(std::shared_ptr<Device> d, size_t b) : device(std::move(d)), bytes(b) {}
  ~Buffer();
  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;

  // Gives the buffer memory if it has none. Throws OutOfMemory. Queue thread only.
  void materialize();
  // Gives the memory back: nothing will read it. Queue thread only.
  void fail(const Error& e);
  // The same where its job is not run. Queue thread only.
  void skip();
  // The buffer is memory of someone else, who keeps it as it is while `owner` is held. Before its job is enqueued.
  void lend(const void* memory, std::shared_ptr<const void> owner);
  // Before a job changes it in place: lent memory is copied first. Throws OutOfMemory. Queue thread only.
  void own();

  const std::shared_ptr<Device> device;
  const size_t bytes;
  void* data = nullptr;
  size_t capacity = 0;
  std::shared_ptr<const void> lender;  // null where `data` is the device's own
  bool lent = false;  // whether it ever had a lender; fixed when the tensor is made
  State state = State::pending;
  std::unique_ptr<Error> error;
  // Number of the last job that writes this buffer, set when it is enqueued: a read waits for that
  // job and no other.
  std::atomic<uint64_t> lastWriter{0};
  // Jobs that have run and write this buffer. Not lastWriter, which is ahead of the queue: an update that still waits its turn
  // must not pass for one that is done. Queue thread only.
  uint64_t written = 0;
  std::vector<Companion> companions;
  // The companion of this key, with memory for `size` bytes; the reference holds until the next call. Throws OutOfMemory. Queue
  // thread only.
  Companion& companion(const Companion::Key& key, size_t size);
  // Handles of the addon that refer to it. JS thread only.
  int handles = 0;

 private:
  void release();
};

struct Tensor {
  std::shared_ptr<Buffer> buffer;
  Shape shape;
  DType dtype = DType::f32;

  explicit operator bool() const { return buffer != nullptr; }
  size_t bytes() const { return static_cast<size_t>(shape.size()) * sizeOf(dtype); }
  template <class T = float>
  T* data() const {
    return static_cast<T*>(buffer->data);
  }
};

}  // namespace rvx
