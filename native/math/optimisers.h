// One value's step of each optimiser, once for all backends; formulas in ops/optimisers.h.
#pragma once
#include <cmath>

#include "math/exponential.h"
#include "math/portable.h"

namespace rvx {

struct AdamStep {
  // 1 - b1, b2 and 1 - b2, each rounded by itself: 1 - float(0.999) would be off by 10^-5.
  float share1, beta2, share2, eps, l2;
  float shrink;      // what decoupled weight decay leaves of p
  float size, root;  // lr / (1 - b1^step), sqrt(1 - b2^step)
};
template <class Op>
AdamStep adamStep(const Op& op) {
  const auto n = static_cast<double>(op.step);
  AdamStep step{};
  step.share1 = static_cast<float>(1 - op.beta1);
  step.beta2 = static_cast<float>(op.beta2), step.share2 = static_cast<float>(1 - op.beta2);
  step.eps = static_cast<float>(op.eps);
  step.l2 = op.decoupled ? 0.0f : static_cast<float>(op.weightDecay);
  step.shrink = op.decoupled ? static_cast<float>(1 - op.lr * op.weightDecay) : 1.0f;
  step.size = static_cast<float>(op.lr / (1 - std::pow(op.beta1, n)));
  step.root = static_cast<float>(std::sqrt(1 - std::pow(op.beta2, n)));
  return step;
}
RVX_PORTABLE inline void adamValue(const AdamStep& s, float g, float& p, float& m, float& v) {
  const float gradient = g + s.l2 * p;
  m = m + (gradient - m) * s.share1;
  v = s.beta2 * v + s.share2 * gradient * gradient;
  p = s.shrink * p - s.size * (m / (std::sqrt(v) / s.root + s.eps));
}

struct SgdStep {
  float lr, momentum, weightDecay;
  // What the gradient and the momentum add to the step.
  float own, carried;
};
template <class Op>
SgdStep sgdStep(const Op& op) {
  const auto momentum = static_cast<float>(op.momentum);
  return {static_cast<float>(op.lr), momentum, static_cast<float>(op.weightDecay),
          op.nesterov ? 1.0f : 0.0f, op.nesterov ? momentum : 1.0f};
}
RVX_PORTABLE inline void sgdValue(const SgdStep& s, float g, float& p, float& m) {
  const float gradient = g + s.weightDecay * p;
  m = s.momentum * m + gradient;
  p -= s.lr * (s.own * gradient + s.carried * m);
}

RVX_PORTABLE inline void averageValue(float share, float p, float& average) {
  average += (p - average) * share;
}

// What clipping multiplies gradients of this norm by; 1: it leaves them as they are, also where the norm is NaN.
RVX_PORTABLE inline float clipFactor(double norm, double maxNorm) {
  const double wanted = maxNorm / (norm + 1e-6);
  return wanted < 1 ? static_cast<float>(wanted) : 1.0f;
}

// All exponent bits set: infinite or NaN.
RVX_PORTABLE inline bool notFinite(float x) { return (toBits(x) & 0x7F800000u) == 0x7F800000u; }

}  // namespace rvx
