// Loops of LeakyReLU; formulas in math/activation.h. Bound by memory.
// GCC leaves loops with a choice (x > 0 ? x : slope * x) scalar unless no operation may trap.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/leakyRelu.h"

#include "math/activation.h"

namespace rvx::cpu::RVX_ISA {

void leakyReluRun(const float* x, int64_t count, float slope, float* __restrict y) {
  for (int64_t i = 0; i < count; ++i) y[i] = leakyRelu(x[i], slope);
}

void leakyReluGradRun(const float* x, const float* dy, int64_t count, float slope,
                      float* __restrict dx) {
  for (int64_t i = 0; i < count; ++i) dx[i] = leakyReluGrad(x[i], dy[i], slope);
}

}  // namespace rvx::cpu::RVX_ISA
