#include "core/device.h"

#include <algorithm>

#include "core/pool.h"

namespace rvx {

Buffer::~Buffer() {
  for (Companion& c : companions) device->allocator().free(c.data, c.capacity);
  device->allocator().free(data, capacity);
}

Companion& Buffer::companion(const Companion::Key& key, size_t size) {
  for (Companion& c : companions)
    if (c.key == key) return c;
  companions.reserve(companions.size() + 1);
  Companion c;
  c.key = key;
  c.data = device->allocator().allocate(size, &c.capacity);
  companions.push_back(c);
  return companions.back();
}

void Buffer::materialize() {
  if (!data) data = device->allocator().allocate(bytes, &capacity);
}

void Buffer::fail(const Error& e) {
  state = State::failed;
  error = std::make_unique<Error>(e);
  device->allocator().free(data, capacity);
  data = nullptr;
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

// Under the lock.
void Device::start() {
  if (closed_) throw Error("DisposedError", "The device was disposed");
  if (!thread_.joinable()) thread_ = std::thread([this] { loop(); });
}

void Device::enqueue(Job job) {
  std::lock_guard<std::mutex> lock(mutex_);
  // Reads are still taken: they tell which operation failed.
  if (lost_ && !closed_) throw Error(*lost_);
  start();
  jobs_.push_back(std::move(job));
  ++enqueued_;
  for (auto* list : {&jobs_.back().outputs, &jobs_.back().inouts})
    for (Tensor& t : *list) t.buffer->lastWriter = enqueued_;
  wake_.notify_one();
}

void Device::read(std::vector<Tensor> tensors, std::vector<void*> hosts,
                  std::function<void(const Error*)> done) {
  std::lock_guard<std::mutex> lock(mutex_);
  start();
  uint64_t after = 0;
  for (const Tensor& t : tensors) after = std::max(after, t.buffer->lastWriter.load());
  reads_.push_back({after, std::move(tensors), std::move(hosts), std::move(done)});
  wake_.notify_one();
}

void Device::drain(std::function<void(const Error*)> done) {
  std::lock_guard<std::mutex> lock(mutex_);
  start();
  reads_.push_back({enqueued_, {}, {}, std::move(done)});
  wake_.notify_one();
}

void Device::markLost(const Error& error) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (!lost_) lost_ = std::make_unique<const Error>(error);
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
  const Interruptible interruptible(closed_);
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

bool Device::allows(const Guard& guard) {
  const Buffer& buffer = *guard.counts.buffer;
  if (buffer.state == Buffer::State::skipped) return false;
  int32_t value = 0;
  copyOut(&value, guard.counts.data<int32_t>() + guard.index, sizeof value);
  transfers.readbacks++;
  transfers.readbackBytes += sizeof value;
  return value > 0;
}

namespace {

std::string shapesOf(const Job& job) {
  std::string text;
  for (auto* list : {&job.inputs, &job.inouts})
    for (const Tensor& t : *list) text += (text.empty() ? "" : ", ") + t.shape.text();
  if (job.outputs.empty()) return text;
  text += text.empty() ? "-> " : " -> ";
  for (size_t i = 0; i < job.outputs.size(); ++i)
    text += (i ? ", " : "") + job.outputs[i].shape.text();
  return text;
}

Error described(const Job& job, const char* code, const std::string& message) {
  return Error(code, std::string(job.name) + "(" + shapesOf(job) + "): " + message).in(job.name);
}

// By value: the error may be that of a buffer which fails again here.
void fail(Job& job, const Error error) {  // NOLINT(performance-unnecessary-value-param)
  for (Tensor& t : job.outputs) t.buffer->fail(error);
  // An update in place that was called off has not begun: what it would have changed is whole.
  if (error.code() == "AbortError") return;
  for (Tensor& t : job.inouts) t.buffer->fail(error);
}

}  // namespace

// Whether the job shall run; otherwise its outputs say why not.
bool Device::prepare(Job& job) {
  if (lost_) throw Error(*lost_);
  for (const auto& token : job.tokens)
    if (token->cancelled()) {
      fail(job, described(job, "AbortError", "aborted before it began").because(token->reason()));
      return false;
    }
  for (const Guard& guard : job.guards) {
    const Buffer& counts = *guard.counts.buffer;
    if (counts.state == Buffer::State::failed) {
      fail(job, *counts.error);
      return false;
    }
    if (!allows(guard)) {
      for (Tensor& t : job.outputs) t.buffer->state = Buffer::State::skipped;
      return false;
    }
  }
  for (auto* list : {&job.inputs, &job.inouts})
    for (Tensor& t : *list) {
      Buffer& b = *t.buffer;
      if (b.state == Buffer::State::failed) {
        fail(job, *b.error);
        return false;
      }
      if (b.state == Buffer::State::skipped) {  // what was not computed reads as zeros
        b.materialize();
        fillZero(b.data, b.bytes);
        b.written++;
        b.state = Buffer::State::ready;
      }
    }
  for (Tensor& t : job.outputs) t.buffer->materialize();
  for (auto* list : {&job.outputs, &job.inouts})
    for (Tensor& t : *list) t.buffer->written++;
  return true;
}

void Device::execute(Job& job) {
  try {
    if (!prepare(job)) return;
    job.run();
    for (Tensor& t : job.outputs) t.buffer->state = Buffer::State::ready;
  } catch (const Error& e) {
    fail(job, described(job, e.code().c_str(), e.message()));
  } catch (const std::bad_alloc&) {
    fail(job, described(job, "OutOfMemory", "the machine has no memory left"));
  } catch (const std::exception& e) {
    fail(job, described(job, "InternalError", e.what()));
  }
}

void Device::copyTo(const Read& read) {
  for (size_t i = 0; i < read.tensors.size(); ++i) {
    const Tensor& t = read.tensors[i];
    const Buffer& b = *t.buffer;
    switch (b.state) {
      case Buffer::State::failed:
        throw Error(*b.error);
      case Buffer::State::pending:
        throw Error("InternalError", "A tensor was read that no operation has made");
      case Buffer::State::skipped:
        std::fill_n(static_cast<unsigned char*>(read.hosts[i]), t.bytes(), 0);
        break;
      case Buffer::State::ready:
        copyOut(read.hosts[i], b.data, t.bytes());
        break;
    }
    transfers.downloadBytes += t.bytes();
  }
  if (!read.tensors.empty()) transfers.downloads++;
}

void Device::serve(Read& read) {
  std::unique_ptr<Error> error;
  try {
    if (lost_) {
      // What failed with the device says so itself, with its operation.
      for (const Tensor& t : read.tensors)
        if (t.buffer->state == Buffer::State::failed) throw Error(*t.buffer->error);
      throw Error(*lost_);
    }
    copyTo(read);
    if (read.tensors.empty()) synchronize();
  } catch (const Error& e) {
    error = std::make_unique<Error>(e);
  }
  // Before anyone hears of it: who disposes the tensors then finds their memory free.
  read.tensors.clear();
  read.done(error.get());
}

}  // namespace rvx
