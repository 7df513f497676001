// One run of a dropout; see ops/arithmetic.h.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

// Values block * 4 .. of the whole tensor; x and y point at the first of them.
RVX_ISA_DECLARE(void dropoutRun(const float* x, int64_t block, int64_t count, uint64_t seed,
                                uint64_t offset, float p, float scale, float* y);)

}  // namespace rvx::cpu
