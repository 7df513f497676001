// Loops of the optimisers over one run of values.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

struct AdamStep {
  // 1 - b1, b2 and 1 - b2, each rounded by itself: 1 - float(0.999) would be off by 10^-5.
  float share1, beta2, share2, eps, l2;
  float shrink;      // what decoupled weight decay leaves of p
  float size, root;  // lr / (1 - b1^step), sqrt(1 - b2^step)
};
struct SgdStep {
  float lr, momentum, weightDecay;
  bool nesterov;
};

RVX_ISA_DECLARE(void adamRun(const AdamStep& step, const float* g, int64_t count, float* p,
                             float* m, float* v);
                void sgdRun(const SgdStep& step, const float* g, int64_t count, float* p, float* m);
                void averageRun(float share, const float* p, int64_t count, float* average);
                double squares(const float* x, int64_t count);
                bool finite(const float* x, int64_t count);)

}  // namespace rvx::cpu
