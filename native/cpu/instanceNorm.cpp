// instanceNorm, its gradient (other types than f32 as rounded.h says), and its coefficients for a convolution's load; see cpu/norm.cpp.
#include <algorithm>

#include "cpu/norm.h"
#include "cpu/rounded.h"
#include "math/norm.h"
#include "ops/ops.h"

namespace rvx::cpu {
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
  const NormShape shape = perSample(op.x.shape());
  const auto channels = static_cast<size_t>(shape.groups * shape.channels);
  const Workspace sums(cx, 2 * channels * sizeof(double));
  const Workspace own(cx, 5 * channels * sizeof(float));
  float* coefficients = op.onLoad ? op.coefficients.data() : own.data();
  NormGradient g{nullptr,
                 nullptr,
                 op.statistics.data(),
                 op.gamma.data(),
                 op.beta.data(),
                 static_cast<float>(op.slope),
                 false};
  if (op.sums) std::copy_n(op.sums.data(), 2 * channels, sums.data<double>());
  if (op.sums && op.onLoad) {
    gradientCoefficients(g, shape, sums.data<double>(), coefficients, op.dgamma.data(),
                         op.dbeta.data());
    return;
  }
  const Rounded x(op.x, DType::f32, cx), dy(op.dy, DType::f32, cx);
  g.x = x.data(), g.dy = dy.data();
  if (!op.sums) gradientSums(g, shape, sums.data<double>(), cx);
  gradientCoefficients(g, shape, sums.data<double>(), coefficients, op.dgamma.data(),
                       op.dbeta.data());
  if (op.onLoad) return;
  RoundedResult dx(op.dx, cx);
  formGradient(g.x, g.dy, shape, coefficients, g.slope, dx.data());
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
