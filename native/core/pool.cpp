#include "core/pool.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <thread>
#include <vector>

namespace rvx {
namespace {

struct Group {
  FunctionRef<void(int64_t)> body;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<int> inside{0};  // pool threads working in this group
  std::mutex errorMutex;
  std::exception_ptr error;

  Group(FunctionRef<void(int64_t)> b, int64_t n) : body(b), tasks(n) {}

  void work() {
    for (;;) {
      const int64_t task = next.fetch_add(1, std::memory_order_relaxed);
      if (task >= tasks) return;
      try {
        body(task);
      } catch (...) {
        std::lock_guard<std::mutex> lock(errorMutex);
        if (!error) error = std::current_exception();
        next.store(tasks, std::memory_order_relaxed);
      }
    }
  }
};

thread_local bool insideGroup = false;

int affinityCores() {
  if (const char* text = std::getenv("RENVOX_THREADS")) {
    const int n = std::atoi(text);
    if (n >= 1 && n <= 256) return n;
  }
#ifdef __linux__
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
  return std::max(1u, std::thread::hardware_concurrency());
}

class Pool {
 public:
  // Never destroyed: threads of the pool may outlive static destructors at process exit.
  static Pool& instance() {
    static Pool* pool = new Pool;
    return *pool;
  }

  int threads() const { return wanted_.load(std::memory_order_relaxed); }
  void setThreads(int n) { wanted_.store(std::clamp(n, 1, 256), std::memory_order_relaxed); }

  void run(Group& group) {
    const int helpers = static_cast<int>(std::min<int64_t>(threads() - 1, group.tasks - 1));
    {
      std::lock_guard<std::mutex> lock(mutex_);
      while (static_cast<int>(threadCount_) < helpers) {
        std::thread([this] { loop(); }).detach();
        ++threadCount_;
      }
      for (int i = 0; i < helpers; ++i) tickets_.push_back(&group);
    }
    for (int i = 0; i < helpers; ++i) wake_.notify_one();
    group.work();
    std::unique_lock<std::mutex> lock(mutex_);
    // Tickets nobody took are withdrawn, so that no thread can enter after this frame is gone.
    tickets_.erase(std::remove(tickets_.begin(), tickets_.end(), &group), tickets_.end());
    done_.wait(lock, [&] { return group.inside.load() == 0; });
  }

 private:
  Pool() : wanted_(affinityCores()) {}

  void loop() {
    insideGroup = true;
    std::unique_lock<std::mutex> lock(mutex_);
    for (;;) {
      wake_.wait(lock, [&] { return !tickets_.empty(); });
      Group* group = tickets_.front();
      tickets_.erase(tickets_.begin());
      group->inside.fetch_add(1);
      lock.unlock();
      group->work();
      lock.lock();
      if (group->inside.fetch_sub(1) == 1) done_.notify_all();
    }
  }

  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<Group*> tickets_;
  size_t threadCount_ = 0;
  std::atomic<int> wanted_;
};

struct Scratch {
  struct Block {
    void* data = nullptr;
    size_t bytes = 0;
  };
  std::vector<Block> blocks;
  ~Scratch() {
    for (Block& b : blocks) std::free(b.data);
  }
};

}  // namespace

int poolThreads() { return Pool::instance().threads(); }
void setPoolThreads(int threads) { Pool::instance().setThreads(threads); }

void parallelFor(int64_t tasks, FunctionRef<void(int64_t)> body) {
  if (tasks <= 0) return;
  if (tasks == 1 || insideGroup || poolThreads() == 1) {
    for (int64_t i = 0; i < tasks; ++i) body(i);
    return;
  }
  Group group(body, tasks);
  insideGroup = true;
  Pool::instance().run(group);
  insideGroup = false;
  if (group.error) std::rethrow_exception(group.error);
}

void* threadScratch(int slot, size_t bytes) {
  static thread_local Scratch scratch;
  if (scratch.blocks.size() <= static_cast<size_t>(slot))
    scratch.blocks.resize(static_cast<size_t>(slot) + 1);
  Scratch::Block& block = scratch.blocks[static_cast<size_t>(slot)];
  if (block.bytes < bytes) {
    std::free(block.data);
    const size_t rounded = (bytes + 4095) & ~size_t{4095};
    block.data = std::aligned_alloc(64, rounded);
    block.bytes = block.data ? rounded : 0;
    if (!block.data) throw std::bad_alloc();
  }
  return block.data;
}

}  // namespace rvx
