#include "cuda/sim/machine.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <vector>

#include "cuda/sim/counters.h"
#include "cuda/sim/fibre.h"
#include "cuda/sim/mma.h"

namespace rvx::cuda::sim {

Lane* self = nullptr;
State state;

namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr size_t kStackBytes = size_t{1} << 19;
#else
constexpr size_t kStackBytes = size_t{1} << 17;
#endif
constexpr int kWarp = 32;

enum class Waiting { ready, forWarp, forBlock, done };

struct Copy {
  void* shared;
  const void* global;
  bool valid;
  int group;
};

struct Thread {
  Lane lane;
  Fibre* fibre = nullptr;  // null before it has begun and after it has ended
  Waiting waiting = Waiting::done;
  std::vector<Copy> copies;
  int committed = 0;
};

struct Warp {
  int arrived = 0;
  Meeting kind = Meeting::sync;
  const void* in[kWarp];
  void* out[kWarp];
  int argument[kWarp];
};

// Numbers for shuffling: splitmix64.
uint64_t scramble(uint64_t& x) {
  x += 0x9e3779b97f4a7c15u;
  uint64_t z = x;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}
template <class T>
void shuffleOrder(std::vector<T>& order, uint64_t& random) {
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[scramble(random) % i]);
}

class Machine {
 public:
  std::string run(const Launch& launch, Schedule schedule, uint64_t seed);
  void syncBlock();
  void meet(Meeting kind, const void* in, void* out, int argument);
  [[noreturn]] void fault(const char* what);
  void copyLater(void* shared, const void* global, bool valid);
  void commitCopies() { current().committed++; }
  void finishCopies(int allowed);

 private:
  static void entry();
  Thread& current() { return *running_; }
  void makeThreads(unsigned count);
  Fibre* takeFibre();
  bool takeNext(Fibre* fibre);
  void runBlock(Schedule schedule, uint64_t random);
  void resume(Thread& thread);
  bool runPass();
  bool passRoundRobin();
  bool passWarpGreedy();
  void yield() { switchTo(*current().fibre, scheduler_); }
  void complete(Warp& warp, int number);
  void stuck();

  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<std::unique_ptr<Fibre>> fibres_;
  std::vector<Fibre*> idle_;
  std::vector<Warp> warps_;
  // The threads whose turn it is, in order, and how far it has come.
  std::vector<int> pass_;
  size_t position_ = 0;
  std::vector<int> order_, warpOrder_, laneOrder_;
  unsigned count_ = 0;  // threads of the block that runs
  unsigned atBarrier_ = 0, finished_ = 0;
  Thread* running_ = nullptr;
  Fibre scheduler_;
  const Launch* launch_ = nullptr;
  std::string error_;
};

// One launch at a time: SimDriver holds a lock. Never destroyed, since fibres of an ended launch may lie on it.
Machine& machine() {
  static auto* one = new Machine;
  return *one;
}

void Machine::makeThreads(unsigned count) {
  while (threads_.size() < count) threads_.push_back(std::make_unique<Thread>());
}

Fibre* Machine::takeFibre() {
  if (idle_.empty()) {
    void* stack = mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (stack == MAP_FAILED) std::abort();
    fibres_.push_back(std::make_unique<Fibre>());
    fibres_.back()->stack = static_cast<char*>(stack);
    fibres_.back()->bytes = kStackBytes;
    prepare(*fibres_.back(), &Machine::entry);
    idle_.push_back(fibres_.back().get());
  }
  Fibre* fibre = idle_.back();
  idle_.pop_back();
  return fibre;
}

// A fibre runs one thread after the other and rests in between: AddressSanitizer makes and unmakes megabytes for each new one.
void Machine::entry() {
  arrived();
  Machine& m = machine();
  for (;;) {
    m.launch_->invoke(m.launch_->kernel, m.launch_->arguments);
    Thread& thread = m.current();
    Fibre* fibre = thread.fibre;
    thread.waiting = Waiting::done;
    thread.fibre = nullptr;
    m.finished_++;
    if (m.takeNext(fibre)) continue;
    m.idle_.push_back(fibre);
    switchTo(*fibre, m.scheduler_);
  }
}

// A thread that has ended hands its fibre to the next one in turn, if that has not begun: spares two switches, so that kernels
// without barriers cost little more than calls.
bool Machine::takeNext(Fibre* fibre) {
  if (position_ == pass_.size()) return false;
  Thread& next = *threads_[static_cast<size_t>(pass_[position_])];
  if (next.waiting != Waiting::ready || next.fibre) return false;
  position_++;
  next.fibre = fibre;
  running_ = &next;
  self = &next.lane;
  return true;
}

void Machine::resume(Thread& thread) {
  if (!thread.fibre) thread.fibre = takeFibre();
  running_ = &thread;
  self = &thread.lane;
  switchTo(scheduler_, *thread.fibre);
}

// Gives each thread of pass_ that can run its turn; whether any could.
bool Machine::runPass() {
  bool ran = false;
  for (position_ = 0; position_ < pass_.size() && error_.empty();) {
    Thread& thread = *threads_[static_cast<size_t>(pass_[position_++])];
    if (thread.waiting != Waiting::ready) continue;
    resume(thread);
    ran = true;
  }
  return ran;
}

bool Machine::passRoundRobin() {
  pass_ = order_;
  return runPass();
}

bool Machine::passWarpGreedy() {
  bool ran = false;
  for (int warp : warpOrder_) {
    pass_.clear();
    for (int lane : laneOrder_) pass_.push_back(warp * kWarp + lane);
    while (error_.empty() && runPass()) ran = true;
  }
  return ran;
}

// Nobody can go on, and not all have come to the barrier.
void Machine::stuck() {
  int inWarp = 0;
  for (unsigned i = 0; i < count_; ++i) inWarp += threads_[i]->waiting == Waiting::forWarp;
  error_ = "deadlock: " + std::to_string(atBarrier_) + " of " + std::to_string(count_) +
           " threads at a barrier, " + std::to_string(inWarp) + " at a warp function, " +
           std::to_string(finished_) + " ended";
}

void Machine::runBlock(Schedule schedule, uint64_t random) {
  shuffleOrder(order_, random);
  shuffleOrder(warpOrder_, random);
  shuffleOrder(laneOrder_, random);
  const bool greedy = schedule == Schedule::warpGreedy ||
                      (schedule == Schedule::mixed && (scramble(random) & 1) != 0);
  for (unsigned i = 0; i < count_; ++i) {
    Thread& thread = *threads_[i];
    thread.waiting = Waiting::ready;
    thread.copies.clear();
    thread.committed = 0;
    if (!thread.fibre) continue;
    // It lies in the middle of a launch that was ended.
    prepare(*thread.fibre, &Machine::entry);
    idle_.push_back(thread.fibre);
    thread.fibre = nullptr;
  }
  for (Warp& warp : warps_) warp.arrived = 0;
  atBarrier_ = finished_ = 0;
  while (error_.empty() && finished_ < count_) {
    if (greedy ? passWarpGreedy() : passRoundRobin()) continue;
    if (atBarrier_ < count_) {
      stuck();
      break;
    }
    atBarrier_ = 0;
    counters().barrier();
    for (unsigned i = 0; i < count_; ++i) threads_[i]->waiting = Waiting::ready;
  }
  counters().endBlock();
}

std::string Machine::run(const Launch& launch, Schedule schedule, uint64_t seed) {
  launch_ = &launch;
  error_.clear();
  if (launch.threads == 0 || launch.threads > 1024 || launch.threads % kWarp != 0)
    return "a block of " + std::to_string(launch.threads) +
           " threads (expected a multiple of 32 up to 1024)";
  count_ = launch.threads;
  makeThreads(count_);
  adoptThread(scheduler_);
  warps_.resize(count_ / kWarp);
  order_.resize(count_);
  warpOrder_.resize(warps_.size());
  laneOrder_.resize(kWarp);
  for (auto* order : {&order_, &warpOrder_, &laneOrder_})
    std::iota(order->begin(), order->end(), 0);
  for (unsigned i = 0; i < count_; ++i)
    threads_[i]->lane = {{i, 0, 0}, static_cast<int>(i % kWarp), static_cast<int>(i / kWarp)};

  // Exactly as many bytes as were asked for, so that AddressSanitizer sees a step beyond them.
  const std::unique_ptr<unsigned char, decltype(&std::free)> memory(
      static_cast<unsigned char*>(std::aligned_alloc(128, (launch.shared + 255) / 128 * 128)),
      &std::free);
  state.shared = memory.get();
  state.sharedBytes = launch.shared;
  state.threads = {launch.threads, 1, 1};
  state.grid = launch.blocks;
  const uint64_t blocks = uint64_t{launch.blocks.x} * launch.blocks.y * launch.blocks.z;
  counters().begin(launch);
  // Blocks in a shuffled order: a start and a step that has no factor in common with their number.
  uint64_t random = seed;
  const uint64_t first = scramble(random) % blocks;
  uint64_t step = scramble(random) % blocks | 1;
  while (std::gcd(step, blocks) != 1) step += 2;
  for (uint64_t i = 0, b = first; i < blocks && error_.empty(); ++i, b = (b + step) % blocks) {
    if (counters().skips(b)) continue;
    state.block = {static_cast<unsigned>(b % launch.blocks.x),
                   static_cast<unsigned>(b / launch.blocks.x % launch.blocks.y),
                   static_cast<unsigned>(b / launch.blocks.x / launch.blocks.y)};
    std::memset(state.shared, 0xff, launch.shared);
    runBlock(schedule, seed + 0x51ed2701u * (b + 1));
  }
  counters().end();
  if (error_.empty()) return "";
  return std::string(launch.name) + ", block " + std::to_string(state.block.x) + "," +
         std::to_string(state.block.y) + "," + std::to_string(state.block.z) + ": " + error_;
}

void Machine::fault(const char* what) {
  error_ = std::string("thread ") + std::to_string(self->thread.x) + ": " + what;
  yield();
  std::abort();  // an ended launch is never resumed
}

void Machine::syncBlock() {
  Thread& thread = current();
  thread.waiting = Waiting::forBlock;
  atBarrier_++;
  yield();
}

void Machine::meet(Meeting kind, const void* in, void* out, int argument) {
  Thread& thread = current();
  Warp& warp = warps_[static_cast<size_t>(thread.lane.warp)];
  const auto lane = static_cast<size_t>(thread.lane.lane);
  if (warp.arrived == 0)
    warp.kind = kind;
  else if (warp.kind != kind)
    fault("lanes of one warp are at different warp functions");
  warp.in[lane] = in;
  warp.out[lane] = out;
  warp.argument[lane] = argument;
  if (++warp.arrived < kWarp) {
    thread.waiting = Waiting::forWarp;
    yield();
    return;
  }
  warp.arrived = 0;
  complete(warp, thread.lane.warp);
  for (int i = 0; i < kWarp; ++i)
    threads_[static_cast<size_t>(thread.lane.warp * kWarp + i)]->waiting = Waiting::ready;
}

// What the 32 lanes have come for.
void Machine::complete(Warp& warp, int number) {
  counters().meeting(number);
  switch (warp.kind) {
    case Meeting::sync:
      return;
    case Meeting::shuffle: {
      uint64_t values[kWarp];
      const auto bytes = static_cast<size_t>(warp.argument[0] / 64);
      for (int i = 0; i < kWarp; ++i) {
        if (static_cast<size_t>(warp.argument[i] / 64) != bytes)
          fault("lanes of one warp shuffle values of different types");
        std::memcpy(&values[i], warp.in[i], bytes);
      }
      for (int i = 0; i < kWarp; ++i)
        std::memcpy(warp.out[i], &values[warp.argument[i] % 64], bytes);
      return;
    }
    case Meeting::ballot: {
      uint32_t bits = 0;
      for (int i = 0; i < kWarp; ++i)
        bits |= static_cast<uint32_t>(*static_cast<const bool*>(warp.in[i])) << i;
      for (void* out : warp.out) *static_cast<uint32_t*>(out) = bits;
      return;
    }
    case Meeting::ldmatrix:
      for (const void* row : warp.in) {
        if (!inShared(row, 16)) fault("ldmatrix outside the block's shared memory");
        if (reinterpret_cast<uintptr_t>(row) % 16) fault("misaligned ldmatrix");
      }
      counters().ldmatrix(warp.in);
      loadMatrices(warp.in, warp.out, warp.argument[0] != 0);
      return;
    case Meeting::mmaBf16:
    case Meeting::mmaF16:
      counters().mma();
      multiplyMatrices(warp.in, warp.out, warp.kind == Meeting::mmaBf16);
      return;
  }
}

void Machine::copyLater(void* shared, const void* global, bool valid) {
  if (!inShared(shared, 16)) fault("cp.async outside the block's shared memory");
  if (reinterpret_cast<uintptr_t>(shared) % 16) fault("misaligned cp.async to shared memory");
  if (valid && reinterpret_cast<uintptr_t>(global) % 16)
    fault("misaligned cp.async from global memory");
  current().copies.push_back({shared, global, valid, current().committed});
}

void Machine::finishCopies(int allowed) {
  Thread& thread = current();
  const int below = thread.committed - allowed;
  size_t kept = 0;
  for (const Copy& copy : thread.copies) {
    if (copy.group >= below) {
      thread.copies[kept++] = copy;
      continue;
    }
    if (copy.valid)
      std::memcpy(copy.shared, copy.global, 16);
    else
      std::memset(copy.shared, 0, 16);
  }
  thread.copies.resize(kept);
}

}  // namespace

std::string run(const Launch& launch, Schedule schedule, uint64_t seed) {
  return machine().run(launch, schedule, seed);
}
void fault(const char* what) { machine().fault(what); }
void syncBlock() { machine().syncBlock(); }
void meet(Meeting kind, const void* in, void* out, int argument) {
  machine().meet(kind, in, out, argument);
}
void copyLater(void* shared, const void* global, bool valid) {
  if (state.counting) {
    if (valid) noteGlobal(global, 16, false);
    noteShared(shared, 16);
  }
  machine().copyLater(shared, global, valid);
}
void commitCopies() { machine().commitCopies(); }
void finishCopies(int allowed) { machine().finishCopies(allowed); }

}  // namespace rvx::cuda::sim
