// What the multiply-add units can do: the yardstick of bench/conv3d.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

RVX_ISA_DECLARE(
    // Runs 40 * steps vector multiply-adds on registers alone; returns the number of floating point
    // operations.
    double multiplyAdd(int64_t steps);)

}  // namespace rvx
