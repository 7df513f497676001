// LeakyReLU and its gradient over values in a row.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

RVX_ISA_DECLARE(void leakyReluRun(const float* x, int64_t count, float slope, float* y);
                void leakyReluGradRun(const float* x, const float* dy, int64_t count, float slope,
                                      float* dx);)

}  // namespace rvx::cpu
