// Loops of the optimisers; formulas in ops/optimisers.h. Bound by memory.
#include "cpu/optimisers.h"

namespace rvx::cpu::RVX_ISA {

void adamRun(const AdamStep& step, const float* g, int64_t count, float* __restrict p,
             float* __restrict m, float* __restrict v) {
  const AdamStep s = step;
  for (int64_t i = 0; i < count; ++i) adamValue(s, g[i], p[i], m[i], v[i]);
}

void sgdRun(const SgdStep& step, const float* g, int64_t count, float* __restrict p,
            float* __restrict m) {
  const SgdStep s = step;
  for (int64_t i = 0; i < count; ++i) sgdValue(s, g[i], p[i], m[i]);
}

void averageRun(float share, const float* p, int64_t count, float* __restrict average) {
  for (int64_t i = 0; i < count; ++i) averageValue(share, p[i], average[i]);
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
  uint32_t bad = 0;
  for (int64_t i = 0; i < count; ++i) bad |= notFinite(x[i]) ? 1u : 0u;
  return bad == 0;
}

}  // namespace rvx::cpu::RVX_ISA
