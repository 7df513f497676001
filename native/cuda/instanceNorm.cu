// instanceNorm and its gradient (norm.cu; Ulyanov, Vedaldi, Lempitsky 2016, arXiv 1607.08022), and normCoefficients: scale =
// gamma / sqrt(M2 / count + eps), shift = beta - mean scale of every sample and channel, a thread each, in double. A few KB, so its
// time is its launch. Bytes: 16 read, 8 written a pair, for about 6 FLOPs and a square root.
// Limits: norm.cu's; of a single voxel the variance is 0 and y is leaky(beta).
#include "cuda/norm.h"
#include "math/norm.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 128;

RVX_KERNEL(kThreads)
coefficients(const float* sums, const float* gamma, const float* beta, int64_t size, int channels,
             double count, double eps, float* scale, float* shift, float* statistics) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= size) return;
  const int64_t c = i % channels;
  const float2 sum = ld(reinterpret_cast<const float2*>(sums) + i);
  const double variance = sum.y / count;
  const double a = fixedScale(ld(gamma + c), variance, eps);
  st(scale + i, static_cast<float>(a));
  st(shift + i, static_cast<float>(ld(beta + c) - sum.x * a));
  if (!statistics) return;
  float three[3];
  storeStatistics(three, sum.x, variance, eps);
  for (int k = 0; k < 3; ++k) st(statistics + 3 * i + k, three[k]);
}

}  // namespace

template <>
void run(const InstanceNorm& op, Context& cx) {
  normForward("instanceNorm",
              {op.x, op.gamma, op.beta, op.x.shape()[0], op.eps, op.slope, op.statistics.data(),
               op.y.data(), nullptr, nullptr, 0},
              cx);
}

template <>
void run(const InstanceNormGrad& op, Context& cx) {
  const char* name = "instanceNormGrad";
  const NormGradient n{op.x,          op.dy,           op.gamma, op.beta,
                       op.statistics, op.x.shape()[0], op.slope, false};
  const auto channels = static_cast<size_t>(n.groups * op.x.shape()[-1]);
  const Workspace own(cx, 5 * channels * sizeof(float));
  float* coefficients = op.onLoad ? op.coefficients.data() : own.data();
  const auto finish = [&](const auto* sums) {
    gradientCoefficients(name, n, sums, coefficients, op.dgamma.data(), op.dbeta.data(), cx);
  };
  if (op.sums) {
    finish(op.sums.data());
  } else {
    const Workspace sums(cx, 2 * channels * sizeof(double));
    gradientSums(name, n, sums.data<double>(), cx);
    finish(static_cast<const double*>(sums.data<double>()));
  }
  if (!op.onLoad)
    formGradient(name, op.x, op.dy, n.groups, coefficients, op.slope, op.dx.data<void>(), cx);
}

template <>
void run(const NormCoefficients& op, Context& cx) {
  const int64_t size = op.scale.shape.size();
  launch(cx, "normCoefficients", blocksFor(size, kThreads), kThreads, 0, &coefficients,
         op.sums.data(), op.gamma.data(), op.beta.data(), size, op.sums.shape()[1], op.count,
         op.eps, op.scale.data(), op.shift.data(), op.statistics.data());
}

}  // namespace rvx::cuda
