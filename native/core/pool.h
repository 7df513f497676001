// The one work pool of the process, shared by all devices and worker threads.
//
// parallelFor splits work by the caller's fixed task numbers, never by the number of threads, so
// results do not depend on how many threads there are.
#pragma once
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace rvx {

// A borrowed callable: no allocation, must not outlive the call it is passed to.
template <class Signature>
class FunctionRef;
template <class R, class... A>
class FunctionRef<R(A...)> {
 public:
  template <class F, class = std::enable_if_t<!std::is_same_v<std::decay_t<F>, FunctionRef>>>
  FunctionRef(F&& f)  // NOLINT: implicit by design, as std::function
      : object_(const_cast<void*>(static_cast<const void*>(&f))), call_([](void* o, A... a) -> R {
          return (*static_cast<std::remove_reference_t<F>*>(o))(static_cast<A>(a)...);
        }) {}
  R operator()(A... a) const { return call_(object_, static_cast<A>(a)...); }

 private:
  void* object_;
  R (*call_)(void*, A...);
};

// Threads that take part in parallelFor, the calling one included: RENVOX_THREADS, else the cores
// that the process may use (its affinity mask).
int poolThreads();
// Sets it (1..256). Takes effect for the next parallelFor; results never depend on it.
void setPoolThreads(int threads);

// Calls body(task) for every task in 0..tasks-1, in any order, on any of the pool's threads and the
// caller's. Returns when all are done; rethrows the first exception. May be called from several
// threads at once; a nested call runs in the calling thread alone.
void parallelFor(int64_t tasks, FunctionRef<void(int64_t)> body);

// The same where one thread would take about so many microseconds for all of it: too few, and the caller does it alone
// in less time than another thread takes to wake.
void parallelFor(int64_t tasks, double microseconds, FunctionRef<void(int64_t)> body);

// While one of these lives, every parallelFor of this thread, and of the tasks in it, gives up between
// two tasks once the flag is set, and throws DisposedError. What it was writing is then half done.
class Interruptible {
 public:
  explicit Interruptible(const std::atomic<bool>& stop);
  ~Interruptible();
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  const std::atomic<bool>* before_;
};

// Splits 0..count-1 into chunks of `grain` and calls body(begin, end) for each.
template <class Body>
void parallelChunks(int64_t count, int64_t grain, Body&& body) {
  const int64_t chunks = (count + grain - 1) / grain;
  parallelFor(chunks, [&](int64_t c) {
    const int64_t begin = c * grain;
    body(begin, begin + grain < count ? begin + grain : count);
  });
}

// Scratch of the current thread, 64-byte aligned, kept between calls; contents are undefined.
// Slots let one function hold several blocks at once.
void* threadScratch(int slot, size_t bytes);

}  // namespace rvx
