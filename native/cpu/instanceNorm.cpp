// instanceNorm, its gradient (other types than f32 as rounded.h says), and its coefficients for a convolution's load; see cpu/norm.cpp.
#include "cpu/norm.h"
#include "cpu/rounded.h"
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
  const Rounded x(op.x, DType::f32, cx), dy(op.dy, DType::f32, cx);
  RoundedResult dx(op.dx, cx);
  normGradient({x.data(), dy.data(), op.statistics.data(), op.gamma.data(), op.beta.data(),
                static_cast<float>(op.slope), false, dx.data(), op.dgamma.data(), op.dbeta.data()},
               perSample(op.x.shape()), cx);
  dx.finish();
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
