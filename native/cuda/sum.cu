// y [1] = sum of all values, in double, in a fixed order: thread t of block b adds every (blocks * threads)-th packet of four, the
// block adds its threads' sums by a tree, one block adds the blocks' sums. Least bytes: one read of x. FLOPs: one a value.
// Its gradient: dx = dy [1] everywhere. Least bytes: one write of dx (map.h).
// Limits: f32. Up to 1024 blocks, whatever the chip; below some 10^6 values not all of them are there.
#include "cuda/map.h"
#include "cuda/reduce.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
// About 8 blocks for each multiprocessor of the largest chip; fixed, so that the bits do not depend on the chip.
constexpr int64_t kBlocks = 1024;

RVX_KERNEL(kThreads) partialSums(const float* x, int64_t count, double* sums) {
  double sum = 0;
  const int64_t step = int64_t{gridDim.x} * (kThreads * 4);
  int64_t at = int64_t{blockIdx.x} * (kThreads * 4) + threadIdx.x * 4;
  for (; at + 4 <= count; at += step) {
    const auto v = ldPacket<4>(x + at);
    sum += (static_cast<double>(v.value[0]) + v.value[1]) +
           (static_cast<double>(v.value[2]) + v.value[3]);
  }
  // At most one thread comes here with values left: the packet that the tensor's end cuts.
  for (; at < count; ++at) sum += ld(x + at);
  sum = sumBlock(sum, sharedMemory<double>());
  if (threadIdx.x == 0) st(sums + blockIdx.x, sum);
}

RVX_KERNEL(kThreads) totalSum(const double* sums, int count, float* y) {
  double sum = 0;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kThreads) sum += ld(sums + i);
  sum = sumBlock(sum, sharedMemory<double>());
  if (threadIdx.x == 0) st(y, static_cast<float>(sum));
}

struct Everywhere {
  const float* value;
  RVX_DEVICE float operator()() const { return ld(value); }
};

}  // namespace

template <>
void run(const Sum& op, Context& cx) {
  const int64_t count = op.x.shape().size();
  const unsigned blocks = blocksFor(
      std::min<int64_t>(std::max<int64_t>(count, 1), kBlocks * kThreads * 4), kThreads * 4);
  const Workspace sums(cx, blocks * sizeof(double));
  const size_t shared = 32 * sizeof(double);
  launch(cx, "sum/partial", blocks, kThreads, shared, &partialSums, op.x.data(), count,
         sums.data<double>());
  launch(cx, "sum/total", 1u, kThreads, shared, &totalSum, sums.data<double>(),
         static_cast<int>(blocks), op.y.data());
}

template <>
void run(const SumGrad& op, Context& cx) {
  launchMap(cx, "sumGrad", Everywhere{op.dy.data()}, op.dx.shape.size(), op.dx.data());
}

}  // namespace rvx::cuda
