// Row kernels of randomNormal and randomUniform, one for each instruction set.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

RVX_ISA_DECLARE(
    // Values 4 * block .. 4 * (block + count) - 1, scaled and shifted; whole blocks of four.
    void normals(uint64_t seed, uint64_t stream, uint64_t block, int64_t count, float mean,
                 float deviation, float* y);
    void uniforms(uint64_t seed, uint64_t stream, uint64_t block, int64_t count, float low,
                  float range, float* y);)

}  // namespace rvx::cpu
