// instanceNorm, its gradient, and its coefficients for a convolution's load; see cpu/norm.cpp.
#include "cpu/norm.h"
#include "math/norm.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

NormShape perSample(const Shape& s) { return {s[0], s.size() / (s[0] * s[-1]), s[-1]}; }

}  // namespace

template <>
void run(const InstanceNorm& op, Context& cx) {
  const NormShape shape = perSample(op.x.shape());
  Workspace sums(cx, static_cast<size_t>(shape.groups * shape.channels * 2) * sizeof(double));
  normSums(op.x.data(), shape, sums.data<double>(), cx);
  normStatistics(sums.data<double>(), shape, op.eps, op.statistics.data());
  normApply(op.x.data(), shape, op.statistics.data(), op.gamma.data(), op.beta.data(),
            static_cast<float>(op.slope), op.y.data());
}

template <>
void run(const InstanceNormGrad& op, Context& cx) {
  normGradient(
      {op.x.data(), op.dy.data(), op.statistics.data(), op.gamma.data(), op.beta.data(),
       static_cast<float>(op.slope), false, op.dx.data(), op.dgamma.data(), op.dbeta.data()},
      perSample(op.x.shape()), cx);
}

template <>
void run(const NormCoefficients& op, Context&) {
  const float *sums = op.sums.data(), *gamma = op.gamma.data(), *beta = op.beta.data();
  float *scale = op.scale.data(), *shift = op.shift.data(), *statistics = op.statistics.data();
  const int64_t channels = op.sums.shape()[1];
  for (int64_t i = 0; i < op.sums.shape()[0] * channels; ++i) {
    const double variance = sums[2 * i + 1] / op.count;
    const double a = fixedScale(gamma[i % channels], variance, op.eps);
    scale[i] = static_cast<float>(a);
    shift[i] = static_cast<float>(beta[i % channels] - sums[2 * i] * a);
    if (statistics) storeStatistics(statistics + 3 * i, sums[2 * i], variance, op.eps);
  }
}

}  // namespace rvx::cpu
