// Geometry of resampling on the CPU: the affine of a sample, permutation of axes.
#pragma once
#include "math/axisMap.h"
#include "ops/sampling.h"

namespace rvx::cpu {

// The affine of sample n: the attribute, or the sample's row of the tensor. Throws InvalidArgument
// where a number is not finite or beyond 1e9.
Affine affineOf(const OptionalInput& map, const Affine& attribute, int64_t n);

// Axis a of `to` is axis order[a] of `from`; `size` is that of `to`, an element has `bytes` bytes.
void permuteAxes(const void* from, void* to, const Int3& size, const std::array<int, 3>& order,
                 size_t bytes);

}  // namespace rvx::cpu
