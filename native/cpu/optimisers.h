// Loops of the optimisers over one run of values.
#pragma once
#include <cstdint>

#include "core/isa.h"
#include "math/optimisers.h"

namespace rvx::cpu {

RVX_ISA_DECLARE(void adamRun(const AdamStep& step, const float* g, int64_t count, float* p,
                             float* m, float* v);
                void sgdRun(const SgdStep& step, const float* g, int64_t count, float* p, float* m);
                void averageRun(float share, const float* p, int64_t count, float* average);
                double squares(const float* x, int64_t count);
                bool finite(const float* x, int64_t count);)

}  // namespace rvx::cpu
