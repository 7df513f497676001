// Row kernels of separable resampling, one for each instruction set.
#pragma once
#include <cstdint>

#include "core/isa.h"
#include "math/window.h"

namespace rvx::cpu {

RVX_ISA_DECLARE(
    // y[i] = sum over t of weight[t] * window(rows[t][i]), in the order of t; T is float, int16_t,
    // int32_t or uint8_t.
    template <class T> void windowedRows(const T* const* rows, const float* weight, int64_t taps,
                                         int64_t count, const Window& window, float* y);

    // y[o] = weight[2 o] * x[first[o]] + weight[2 o + 1] * x[first[o] + 1].
    void mixPairs(const float* x, const int32_t* first, const float* weight, int64_t count,
                  float* y);)

}  // namespace rvx::cpu
