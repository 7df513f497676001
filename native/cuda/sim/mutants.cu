// Kernels that try the simulator: each in its right form and in one that lacks what it needs, which must not pass. See mutants.h.
//
// Every case has an input, an output and what the output should be; the arrays lie between guards, so that a store beside them shows
// in every build (AddressSanitizer would end the process, and so does not get to see it).
#include <algorithm>

#include "cuda/launch.h"
#include "cuda/packet.h"
#include "cuda/reduce.h"
#include "cuda/sim/mutants.h"

namespace rvx::cuda::sim {
namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / 32;

// y[i] = x[last - i] of the block's own values, through shared memory.
template <bool kBroken>
RVX_KERNEL(kThreads)
barrier(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  sts(shared + i, ld(x + blockIdx.x * kThreads + i));
  if (!kBroken) syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + kThreads - 1 - i));
}

// As barrier, but a warp function lies between: taken in turn, almost all threads have stored before the first goes on. Orders in
// which a warp runs ahead find the fault every time.
template <bool kBroken>
RVX_KERNEL(kThreads)
hiddenBarrier(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  sts(shared + i, ld(x + blockIdx.x * kThreads + i));
  syncWarp();
  if (!kBroken) syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + kThreads - 1 - i));
}

// The room is used twice: the second barrier keeps a fast warp from writing over what a slow one still reads.
template <bool kBroken>
RVX_KERNEL(kThreads)
reuse(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  const float own = ld(x + blockIdx.x * kThreads + i);
  sts(shared + i, own);
  syncBlock();
  const float other = lds(shared + kThreads - 1 - i);
  if (!kBroken) syncBlock();
  sts(shared + i, 2 * own);
  syncBlock();
  st(y + blockIdx.x * kThreads + i, other + lds(shared + kThreads - 1 - i));
}

// Only half of the threads come to the barrier.
template <bool kBroken>
RVX_KERNEL(kThreads)
divergentBarrier(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  sts(shared + i, ld(x + blockIdx.x * kThreads + i));
  if (!kBroken || i < kThreads / 2) syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + i));
}

// The last block has fewer values than threads.
template <bool kBroken>
RVX_KERNEL(kThreads)
bounds(const float* x, float* y, int count) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < count || kBroken) st(y + i, 2 * ld(x + i));
}

// Reads one value too many, which a sum cannot hide.
template <bool kBroken>
RVX_KERNEL(kThreads)
readBounds(const float* x, float* y, int count) {
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i < count) st(y + i, ld(x + i) + (i + 1 < count || kBroken ? ld(x + i + 1) : 0.0f));
}

// y[i] = x[i - 1] + 2 x[i] + 4 x[i + 1] through a tile with a halo on both sides.
template <bool kBroken>
RVX_KERNEL(kThreads)
tap(const float* x, float* y, int count) {
  auto* tile = sharedMemory<float>();
  const int start = static_cast<int>(blockIdx.x) * kThreads - 1;
  for (int i = static_cast<int>(threadIdx.x); i < kThreads + 2; i += kThreads)
    sts(tile + i, start + i >= 0 && start + i < count ? ld(x + start + i) : 0.0f);
  syncBlock();
  const int i = static_cast<int>(threadIdx.x);
  if (start + 1 + i < count)
    st(y + start + 1 + i,
       lds(tile + i) + 2 * lds(tile + i + 1) + 4 * lds(tile + i + (kBroken ? 1 : 2)));
}

// y[i] = the value of lane 31 - l of the warp. Lanes do not run in step: what one stores another sees only behind syncWarp.
template <bool kBroken>
RVX_KERNEL(kThreads)
warp(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x, lane = i % 32;
  sts(shared + i, ld(x + blockIdx.x * kThreads + i));
  if (!kBroken) syncWarp();
  st(y + blockIdx.x * kThreads + i, lds(shared + i - lane + 31 - lane));
}

// A shuffle that some lanes do not come to.
template <bool kBroken>
RVX_KERNEL(kThreads)
divergentShuffle(const float* x, float* y, int) {
  const unsigned i = threadIdx.x, lane = i % 32;
  float v = ld(x + blockIdx.x * kThreads + i);
  if (!kBroken || lane < 16) v = shuffle(v, 31 - static_cast<int>(lane));
  st(y + blockIdx.x * kThreads + i, v);
}

// Lanes of a warp at different functions.
template <bool kBroken>
RVX_KERNEL(kThreads)
mixedFunctions(const float* x, float* y, int) {
  const unsigned i = threadIdx.x, lane = i % 32;
  float v = ld(x + blockIdx.x * kThreads + i);
  if (kBroken && lane == 7)
    syncWarp();
  else
    v = shuffle(v, 31 - static_cast<int>(lane));
  st(y + blockIdx.x * kThreads + i, v);
}

// A sum in shared memory that starts from what lies there.
template <bool kBroken>
RVX_KERNEL(kThreads)
uninitialised(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  if (!kBroken) sts(shared + i, 0.0f);
  sts(shared + i, lds(shared + i) + ld(x + blockIdx.x * kThreads + i));
  syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + kThreads - 1 - i));
}

// Four values at once, from a place that is no multiple of four.
template <bool kBroken>
RVX_KERNEL(kThreads)
misaligned(const float* x, float* y, int) {
  const unsigned at = blockIdx.x * kThreads + threadIdx.x;
  if (at % 4 != 0) return;
  auto v = ldPacket<4>(x + at + (kBroken && at == 64 ? 1 : 0));
  for (float& one : v.value) one *= 2;
  stPacket(y + at, v);
}

// A value behind the shared memory that the launch asked for.
template <bool kBroken>
RVX_KERNEL(kThreads)
sharedBounds(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  sts(shared + i + (kBroken ? 1 : 0), ld(x + blockIdx.x * kThreads + i));
  syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + i));
}

// An asynchronous copy that nobody waited for.
template <bool kBroken>
RVX_KERNEL(kThreads)
asyncCopy(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  if (i % 4 == 0) cpAsync16(shared + i, x + blockIdx.x * kThreads + i, true);
  cpAsyncCommit();
  if (!kBroken) cpAsyncWait<0>();
  syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + kThreads - 1 - i));
}

// The sum of a warp's values by a butterfly; broken, it shuffles down, which serves lane 0 alone.
template <bool kBroken>
RVX_KERNEL(kThreads)
butterfly(const float* x, float* y, int) {
  const unsigned at = blockIdx.x * kThreads + threadIdx.x;
  float v = ld(x + at);
  for (int by = 16; by > 0; by >>= 1) v += kBroken ? shuffleDown(v, by) : shuffleXor(v, by);
  st(y + at, v);
}

// A tile of 4 x 32 values read by columns, four lanes to a bank.
template <bool kBroken>
RVX_KERNEL(kThreads)
columns(const float* x, float* y, int) {
  auto* shared = sharedMemory<float>();
  const unsigned i = threadIdx.x;
  sts(shared + i, ld(x + blockIdx.x * kThreads + i));
  if (!kBroken) syncBlock();
  st(y + blockIdx.x * kThreads + i, lds(shared + i % 4 * 32 + i / 4));
}

// y[i] = x[i] times the threads of the block, counted by atomics.
template <bool kBroken>
RVX_KERNEL(kThreads)
counted(const float* x, float* y, int) {
  auto* count = sharedMemory<uint32_t>();
  const unsigned i = threadIdx.x;
  if (i == 0) sts(count, 0u);
  syncBlock();
  atomicAdd(count, 1u);
  if (!kBroken) syncBlock();
  st(y + blockIdx.x * kThreads + i,
     ld(x + blockIdx.x * kThreads + i) * static_cast<float>(lds(count)));
}

// y = 2 x as a matrix product, [16][16] by [16][8]; broken, the halves of x are exchanged.
template <bool kBroken>
RVX_KERNEL(kThreads)
product(const float* x, float* y, int) {
  const int lane = static_cast<int>(threadIdx.x) % 32, row = lane / 4, pair = lane % 4 * 2;
  const int64_t first = int64_t{blockIdx.x} * kThreads;
  // Twice the unit matrix: what lies beside the diagonal's two blocks is zero.
  const uint32_t diagonal = packF16(row == pair ? 2.0f : 0.0f, row == pair + 1 ? 2.0f : 0.0f);
  const uint32_t a[4] = {diagonal, 0, 0, diagonal};
  uint32_t b[2];
  for (int half = 0; half < 2; ++half) {
    const float* from = x + first + (pair + 8 * (kBroken ? 1 - half : half)) * 8 + row;
    b[half] = packF16(ld(from), ld(from + 8));
  }
  float d[4] = {0, 0, 0, 0};
  mma16816<F16>(d, a, b);
  if (threadIdx.x >= 32) return;
  for (int half = 0; half < 2; ++half)
    st(reinterpret_cast<float2*>(y + first + (row + 8 * half) * 8 + pair),
       make_float2(d[2 * half], d[2 * half + 1]));
}

using Kernel = void (*)(const float*, float*, int);
// Value i of the result where block `from` .. is the block's values.
using Expected = float (*)(const std::vector<float>& x, int i);

float reversed(const std::vector<float>& x, int i) {
  return x[static_cast<size_t>(i / kThreads * kThreads + kThreads - 1 - i % kThreads)];
}
float warpReversed(const std::vector<float>& x, int i) {
  return x[static_cast<size_t>(i / 32 * 32 + 31 - i % 32)];
}
float same(const std::vector<float>& x, int i) { return x[static_cast<size_t>(i)]; }
float twice(const std::vector<float>& x, int i) { return 2 * same(x, i); }
float threeReversed(const std::vector<float>& x, int i) { return 3 * reversed(x, i); }
float at(const std::vector<float>& x, int i) {
  return i >= 0 && i < static_cast<int>(x.size()) ? same(x, i) : 0;
}
float byColumns(const std::vector<float>& x, int i) {
  return x[static_cast<size_t>(i / kThreads * kThreads + i % 4 * 32 + i % kThreads / 4)];
}
float timesThreads(const std::vector<float>& x, int i) { return kThreads * same(x, i); }
float withNext(const std::vector<float>& x, int i) { return at(x, i) + at(x, i + 1); }
float stencil(const std::vector<float>& x, int i) {
  return at(x, i - 1) + 2 * at(x, i) + 4 * at(x, i + 1);
}
float warpSum(const std::vector<float>& x, int i) {
  float sum = 0;  // whole numbers: exact in any order
  for (int k = i / 32 * 32; k < i / 32 * 32 + 32; ++k) sum += same(x, k);
  return sum;
}

struct Case {
  const char* name;
  Kernel right, broken;
  Expected expected;
  int count = 3 * kThreads;
};
const Case kCases[] = {
    {"barrier", &barrier<false>, &barrier<true>, &reversed},
    {"hiddenBarrier", &hiddenBarrier<false>, &hiddenBarrier<true>, &reversed},
    {"reuse", &reuse<false>, &reuse<true>, &threeReversed},
    {"divergentBarrier", &divergentBarrier<false>, &divergentBarrier<true>, &same},
    {"bounds", &bounds<false>, &bounds<true>, &twice, 2 * kThreads + 1},
    {"readBounds", &readBounds<false>, &readBounds<true>, &withNext, 3 * kThreads},
    {"tap", &tap<false>, &tap<true>, &stencil, 2 * kThreads + 3},
    {"warp", &warp<false>, &warp<true>, &warpReversed},
    {"divergentShuffle", &divergentShuffle<false>, &divergentShuffle<true>, &warpReversed},
    {"mixedFunctions", &mixedFunctions<false>, &mixedFunctions<true>, &warpReversed},
    {"uninitialised", &uninitialised<false>, &uninitialised<true>, &reversed},
    {"misaligned", &misaligned<false>, &misaligned<true>, &twice},
    {"sharedBounds", &sharedBounds<false>, &sharedBounds<true>, &same},
    {"asyncCopy", &asyncCopy<false>, &asyncCopy<true>, &reversed},
    {"columns", &columns<false>, &columns<true>, &byColumns},
    {"counted", &counted<false>, &counted<true>, &timesThreads},
    {"product", &product<false>, &product<true>, &twice},
    {"butterfly", &butterfly<false>, &butterfly<true>, &warpSum},
};

constexpr size_t kGuard = 1024;  // values on each side

std::vector<float> guarded(size_t count, int byte) {
  std::vector<float> values(count + 2 * kGuard);
  std::memset(values.data(), byte, values.size() * sizeof(float));
  return values;
}

std::string run(const Case& one, bool broken, Schedule schedule, uint64_t seed) {
  const auto count = static_cast<size_t>(one.count);
  // What is read beside the input is NaN, and no kernel makes what lies beside the output.
  std::vector<float> x(count), input = guarded(count, 0xff), output = guarded(count, 0xa5);
  for (size_t i = 0; i < count; ++i) x[i] = static_cast<float>(i * 7 % 61 + 1);
  // Aligned as device memory is.
  const auto start = [](std::vector<float>& v) {
    const auto p = reinterpret_cast<uintptr_t>(v.data() + kGuard / 2);
    return reinterpret_cast<float*>((p + 255) & ~uintptr_t{255});
  };
  const float* from = start(input);
  float* to = start(output);
  std::copy(x.begin(), x.end(), start(input));
  Kernel kernel = broken ? one.broken : one.right;
  int number = one.count;
  void* arguments[] = {&from, &to, &number};
  const Launch launch{one.name,
                      reinterpret_cast<const void*>(kernel),
                      {(static_cast<unsigned>(one.count) + kThreads - 1) / kThreads, 1, 1},
                      kThreads,
                      (std::string(one.name) == "tap" ? kThreads + 2 : kThreads) * sizeof(float),
                      arguments,
                      &Invoker<const float*, float*, int>::invoke};
  const std::string fault = sim::run(launch, schedule, seed);
  if (!fault.empty()) return fault;
  for (size_t i = 0; i < count; ++i) {
    const float wanted = one.expected(x, static_cast<int>(i));
    if (!(to[i] == wanted))
      return "value " + std::to_string(i) + " is " + std::to_string(to[i]) + ", not " +
             std::to_string(wanted);
  }
  for (float& v : output) {
    uint32_t bits;
    std::memcpy(&bits, &v, sizeof bits);
    if ((&v < to || &v >= to + count) && bits != 0xa5a5a5a5u)
      return "a store beside the output, at value " + std::to_string(&v - to);
  }
  return "";
}

constexpr const char* kBrokenSuffix = "/broken";

}  // namespace

std::vector<std::string> mutantNames() {
  std::vector<std::string> names;
  for (const Case& one : kCases) {
    names.emplace_back(one.name);
    names.push_back(std::string(one.name) + kBrokenSuffix);
  }
  return names;
}

std::string runMutant(const std::string& name, Schedule schedule, uint64_t seed) {
  for (const Case& one : kCases)
    for (const bool broken : {false, true})
      if (name == std::string(one.name) + (broken ? kBrokenSuffix : ""))
        return run(one, broken, schedule, seed);
  throw Error("InvalidArgument", "No kernel of the simulator's tests is called " + name);
}

}  // namespace rvx::cuda::sim
