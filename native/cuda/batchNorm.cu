// batchNorm in both modes and its gradient (norm.cu; Ioffe, Szegedy 2015, arXiv 1502.03167).
//
// batchNormCoefficients: scale = gamma / sqrt(variance + eps), shift = beta - mean scale, in double, a thread for every pair of sample and
// channel. Bytes: four floats read and two written a pair.
//
// foldBatchNorm: a thread for every weight, in double; weight read and written once, the filter's factor by each block again. The first block
// of a filter writes its bias. About 5 FLOPs a pair or filter, one a weight: bytes and launches bound both.
//
// Limits: norm.cu's. In training at least two values a channel, for the variance without bias (lib/ops/batchNorm.ts). A filter of fewer than
// 256 weights does not fill its block.
#include <algorithm>

#include "cuda/norm.h"
#include "math/norm.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Fold {
  const float *weight, *bias, *gamma, *beta, *mean, *variance;
  float *foldedWeight, *foldedBias;
  int64_t taps;
  unsigned blocks;  // of a filter
  double eps;
};

RVX_KERNEL(kThreads) fold(Fold k) {
  const unsigned filter = blockIdx.x / k.blocks, block = blockIdx.x - filter * k.blocks;
  const double a = fixedScale(ld(k.gamma + filter), ld(k.variance + filter), k.eps);
  const int64_t tap = int64_t{block} * kThreads + threadIdx.x;
  if (tap < k.taps) {
    const int64_t at = filter * k.taps + tap;
    st(k.foldedWeight + at, static_cast<float>(a * ld(k.weight + at)));
  }
  if (tap > 0) return;
  const double before = k.bias ? static_cast<double>(ld(k.bias + filter)) : 0.0;
  st(k.foldedBias + filter,
     static_cast<float>(a * (before - ld(k.mean + filter)) + ld(k.beta + filter)));
}

RVX_KERNEL(kThreads)
fixedCoefficients(const float* gamma, const float* beta, const float* mean, const float* variance,
                  int64_t size, int channels, double eps, float* scale, float* shift) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= size) return;
  const int c = static_cast<int>(i % channels);
  const double a = fixedScale(ld(gamma + c), ld(variance + c), eps);
  st(scale + i, static_cast<float>(a));
  st(shift + i, static_cast<float>(ld(beta + c) - ld(mean + c) * a));
}

}  // namespace

template <>
void run(const BatchNorm& op, Context& cx) {
  const NormForward norm{op.x,
                         op.gamma,
                         op.beta,
                         1,
                         op.eps,
                         op.slope,
                         op.statistics.data(),
                         op.y.data(),
                         op.runningMean.data(),
                         op.runningVar.data(),
                         op.momentum};
  if (op.training)
    normForward("batchNorm", norm, cx);
  else
    normFixed("batchNorm", norm, cx);
}

template <>
void run(const BatchNormGrad& op, Context& cx) {
  normGradient("batchNormGrad",
               {op.x, op.dy, op.gamma, op.beta, op.statistics, 1, op.slope, !op.training},
               op.dx.data(), op.dgamma.data(), op.dbeta.data(), cx);
}

template <>
void run(const BatchNormCoefficients& op, Context& cx) {
  const int64_t channels = op.gamma.shape()[0], size = op.samples * channels;
  if (size == 0) return;
  launch(cx, "batchNormCoefficients", blocksFor(size, kThreads), kThreads, 0, &fixedCoefficients,
         op.gamma.data(), op.beta.data(), op.runningMean.data(), op.runningVar.data(), size,
         static_cast<int>(channels), op.eps, op.scale.data(), op.shift.data());
}

template <>
void run(const FoldBatchNorm& op, Context& cx) {
  const int64_t filters = op.weight.shape()[0];
  if (filters == 0) return;
  const int64_t taps = op.weight.shape().size() / filters;
  const unsigned blocks = blocksFor(std::max<int64_t>(taps, 1), kThreads);
  launch(cx, "foldBatchNorm", blocksFor(filters * blocks, 1), kThreads, 0, &fold,
         Fold{op.weight.data(), op.bias.data(), op.gamma.data(), op.beta.data(),
              op.runningMean.data(), op.runningVar.data(), op.foldedWeight.data(),
              op.foldedBias.data(), taps, blocks, op.eps});
}

}  // namespace rvx::cuda
