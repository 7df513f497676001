// Loops of the optimisers; formulas in ops/optimisers.h. Bound by memory.
#include "cpu/optimisers.h"

#include <cmath>

#include "math/exponential.h"

namespace rvx::cpu::RVX_ISA {

void adamRun(const AdamStep& step, const float* g, int64_t count, float* __restrict p,
             float* __restrict m, float* __restrict v) {
  const AdamStep s = step;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = g[i] + s.l2 * p[i];
    m[i] = m[i] + (gradient - m[i]) * s.share1;
    v[i] = s.beta2 * v[i] + s.share2 * gradient * gradient;
    p[i] = s.shrink * p[i] - s.size * (m[i] / (std::sqrt(v[i]) / s.root + s.eps));
  }
}

void sgdRun(const SgdStep& step, const float* g, int64_t count, float* __restrict p,
            float* __restrict m) {
  const SgdStep s = step;
  // What the gradient and the momentum add to the step.
  const float own = s.nesterov ? 1.0f : 0.0f, carried = s.nesterov ? s.momentum : 1.0f;
  for (int64_t i = 0; i < count; ++i) {
    const float gradient = g[i] + s.weightDecay * p[i];
    m[i] = s.momentum * m[i] + gradient;
    p[i] -= s.lr * (own * gradient + carried * m[i]);
  }
}

void averageRun(float share, const float* p, int64_t count, float* __restrict average) {
  for (int64_t i = 0; i < count; ++i) average[i] += (p[i] - average[i]) * share;
}

double squares(const float* x, int64_t count) {
  double lanes[16] = {};
  int64_t i = 0;
  for (; i + 16 <= count; i += 16)
    for (int64_t j = 0; j < 16; ++j) {
      const auto value = static_cast<double>(x[i + j]);
      lanes[j] += value * value;
    }
  for (; i < count; ++i) lanes[i % 16] += static_cast<double>(x[i]) * static_cast<double>(x[i]);
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

bool finite(const float* x, int64_t count) {
  // All exponent bits set: infinite or NaN.
  uint32_t bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= (toBits(x[i]) & 0x7F800000u) == 0x7F800000u ? 1u : 0u;
  return bad == 0;
}

}  // namespace rvx::cpu::RVX_ISA
