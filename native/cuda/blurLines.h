// y = x convolved with 2 radius + 1 taps along one axis, the border's value going on outside.
#pragma once
#include "cuda/launch.h"

namespace rvx::cuda {

// Along n of [planes, n, inner]. taps: on the device. Each sum is made in the order of the taps, products rounded: the CPU's bits.
void blurAlong(Context& cx, const float* x, float* y, int64_t planes, int64_t n, int64_t inner,
               const float* taps, int64_t radius);

}  // namespace rvx::cuda
