#include "core/device.h"

#include <algorithm>

namespace rvx {

Buffer::~Buffer() { device->allocator().free(data, capacity); }

void Buffer::materialize() {
  if (!data) data = device->allocator().allocate(bytes, &capacity);
}

Device::Device(DeviceKind k, std::unique_ptr<MemorySource> source)
    : kind(k), source_(std::move(source)), allocator_(*source_) {}

Device::~Device() { close(); }

Tensor Device::makeTensor(const Shape& shape, DType dtype) {
  Tensor t;
  t.shape = shape;
  t.dtype = dtype;
  t.buffer = std::make_shared<Buffer>(shared_from_this(), t.bytes());
  return t;
}

void Device::enqueue(Job job) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) throw Error("DisposedError", std::string(job.name) + ": the device was disposed");
  ++enqueued_;
  for (Tensor& t : job.outputs) t.buffer->lastWriter = enqueued_;
  for (Tensor& t : job.inouts) t.buffer->lastWriter = enqueued_;
  jobs_.push_back(std::move(job));
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  wake_.notify_one();
}

void Device::read(std::vector<Tensor> tensors, std::vector<void*> hosts,
                  std::function<void(const Error*)> done) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) throw Error("DisposedError", "The device was disposed");
  uint64_t after = 0;
  for (const Tensor& t : tensors) after = std::max(after, t.buffer->lastWriter.load());
  reads_.push_back({after, std::move(tensors), std::move(hosts), std::move(done)});
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  wake_.notify_one();
}

void Device::drain(std::function<void(const Error*)> done) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (closed_) throw Error("DisposedError", "The device was disposed");
  reads_.push_back({enqueued_, {}, {}, std::move(done)});
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
  wake_.notify_one();
}

void Device::close() {
  std::deque<Job> jobs;
  std::list<Read> reads;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    stop_ = true;
    jobs.swap(jobs_);
    reads.swap(reads_);
    wake_.notify_one();
  }
  // The addon keeps a device alive until it has closed it, so this is never the queue's own thread.
  if (thread_.joinable()) thread_.join();
  const Error error("DisposedError", "The device was disposed before this tensor was read");
  for (Read& r : reads) r.done(&error);
}

void Device::loop() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    wake_.wait(lock, [&] { return stop_ || !jobs_.empty() || !reads_.empty(); });
    if (stop_) return;
    auto due = std::find_if(reads_.begin(), reads_.end(),
                            [&](const Read& r) { return r.after <= finished_; });
    if (due != reads_.end()) {
      std::list<Read> one;
      one.splice(one.begin(), reads_, due);
      lock.unlock();
      serve(one.front());
      one.clear();
      lock.lock();
      continue;
    }
    if (jobs_.empty()) continue;
    {
      Job job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      execute(job);
    }  // the job's references go here, outside the lock
    lock.lock();
    ++finished_;
  }
}

bool Device::guardAllows(const Guard& guard) {
  const Buffer& buffer = *guard.counts.buffer;
  if (buffer.state == Buffer::State::skipped) return false;
  int32_t value = 0;
  copyOut(&value, guard.counts.data<int32_t>() + guard.index, sizeof value);
  transfers.readbacks++;
  transfers.readbackBytes += sizeof value;
  return value > 0;
}

void Device::execute(Job& job) {
  const auto failAll = [&](const Error& e) {
    for (Tensor& t : job.outputs) t.buffer->fail(e);
    for (Tensor& t : job.inouts) t.buffer->fail(e);
  };
  try {
    if (job.token && job.token->cancelled.load()) {
      failAll(Error("AbortError", std::string(job.name) + ": aborted before it began"));
      return;
    }
    if (job.guard) {
      const Buffer& counts = *job.guard->counts.buffer;
      if (counts.state == Buffer::State::failed) return failAll(*counts.error);
      if (!guardAllows(*job.guard)) {
        for (Tensor& t : job.outputs) t.buffer->state = Buffer::State::skipped;
        return;
      }
    }
    for (auto* list : {&job.inputs, &job.inouts})
      for (Tensor& t : *list) {
        Buffer& b = *t.buffer;
        if (b.state == Buffer::State::failed) return failAll(Error(*b.error));
        if (b.state == Buffer::State::skipped) {  // what was not computed reads as zeros
          b.materialize();
          fillZero(b.data, b.bytes);
          b.state = Buffer::State::ready;
        }
      }
    for (Tensor& t : job.outputs) t.buffer->materialize();
    job.run();
    for (Tensor& t : job.outputs) t.buffer->state = Buffer::State::ready;
  } catch (const Error& e) {
    std::string shapes;
    for (auto* list : {&job.inputs, &job.inouts})
      for (Tensor& t : *list) shapes += (shapes.empty() ? "" : ", ") + t.shape.text();
    failAll(Error(e.code(), std::string(job.name) + "(" + shapes + "): " + e.message()));
  } catch (const std::bad_alloc&) {
    failAll(Error("OutOfMemory", std::string(job.name) + ": the machine has no memory left"));
  } catch (const std::exception& e) {
    failAll(Error("InternalError", std::string(job.name) + ": " + e.what()));
  }
}

void Device::serve(Read& read) {
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    const Tensor& t = read.tensors[i];
    const Buffer& b = *t.buffer;
    if (b.state == Buffer::State::failed) return read.done(b.error.get());
    if (b.state != Buffer::State::ready) {
      std::fill_n(static_cast<unsigned char*>(read.hosts[i]), t.bytes(), 0);
      continue;
    }
    try {
      copyOut(read.hosts[i], b.data, t.bytes());
    } catch (const Error& e) {
      return read.done(&e);
    }
    transfers.downloadBytes += t.bytes();
  }
  if (!read.tensors.empty()) transfers.downloads++;
  read.done(nullptr);
}

}  // namespace rvx
