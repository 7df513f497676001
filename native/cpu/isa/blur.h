// Row kernels of gaussianBlur, one for each instruction set.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

RVX_ISA_DECLARE(
    // y[i] = sum over t of weight[t] * rows[t][i], in the order of t.
    void weightedRows(const float* const* rows, const float* weight, int64_t taps, int64_t count,
                      float* y);)

}  // namespace rvx::cpu
