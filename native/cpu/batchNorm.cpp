// batchNorm in both modes, its gradient, and its two forms for inference: coefficients for the next load, and folding into a convolution; see
// cpu/norm.cpp.
#include "cpu/norm.h"
#include "math/norm.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

NormShape wholeBatch(const Shape& s) { return {1, s.size() / s[-1], s[-1]}; }

}  // namespace

template <>
void run(const BatchNorm& op, Context& cx) {
  const NormShape shape = wholeBatch(op.x.shape());
  const int64_t channels = shape.channels;
  float *mean = op.runningMean.data(), *variance = op.runningVar.data();
  float* statistics = op.statistics.data();
  if (op.training) {
    Workspace memory(cx, static_cast<size_t>(channels * 2) * sizeof(double));
    auto* sums = memory.data<double>();
    normSums(op.x.data(), shape, sums, cx);
    normStatistics(sums, shape, op.eps, statistics);
    const double keep = 1 - op.momentum;
    for (int64_t c = 0; c < channels; ++c) {
      const double unbiased = sums[2 * c + 1] / static_cast<double>(shape.voxels - 1);
      mean[c] = static_cast<float>(keep * mean[c] + op.momentum * sums[2 * c]);
      variance[c] = static_cast<float>(keep * variance[c] + op.momentum * unbiased);
    }
  } else {
    for (int64_t c = 0; c < channels; ++c)
      storeStatistics(statistics + 3 * c, mean[c], variance[c], op.eps);
  }
  normApply(op.x.data(), shape, statistics, op.gamma.data(), op.beta.data(),
            static_cast<float>(op.slope), op.y.data());
}

template <>
void run(const BatchNormGrad& op, Context& cx) {
  normGradient({op.x.data(), op.dy.data(), op.statistics.data(), op.gamma.data(), op.beta.data(),
                static_cast<float>(op.slope), !op.training},
               wholeBatch(op.x.shape()), op.dx.data(), op.dgamma.data(), op.dbeta.data(), cx);
}

template <>
void run(const BatchNormCoefficients& op, Context&) {
  const float *gamma = op.gamma.data(), *beta = op.beta.data();
  const float *mean = op.runningMean.data(), *variance = op.runningVar.data();
  float *scale = op.scale.data(), *shift = op.shift.data();
  const int64_t channels = op.gamma.shape()[0];
  for (int64_t i = 0; i < op.samples * channels; ++i) {
    const int64_t c = i % channels;
    const double a = fixedScale(gamma[c], variance[c], op.eps);
    scale[i] = static_cast<float>(a);
    shift[i] = static_cast<float>(beta[c] - mean[c] * a);
  }
}

template <>
void run(const FoldBatchNorm& op, Context&) {
  const int64_t filters = op.weight.shape()[0];
  if (filters == 0) return;
  const int64_t taps = op.weight.shape().size() / filters;
  const float *weight = op.weight.data(), *bias = op.bias.data();
  const float *gamma = op.gamma.data(), *beta = op.beta.data();
  const float *mean = op.runningMean.data(), *variance = op.runningVar.data();
  float *foldedWeight = op.foldedWeight.data(), *foldedBias = op.foldedBias.data();
  for (int64_t f = 0; f < filters; ++f) {
    const double a = fixedScale(gamma[f], variance[f], op.eps);
    for (int64_t i = f * taps; i < (f + 1) * taps; ++i)
      foldedWeight[i] = static_cast<float>(a * weight[i]);
    const double before = bias ? static_cast<double>(bias[f]) : 0.0;
    foldedBias[f] = static_cast<float>(a * (before - mean[f]) + beta[f]);
  }
}

}  // namespace rvx::cpu
