// Pooling of a convolution's result that was not pooled as it was stored.
#pragma once
#include "ops/operation.h"

namespace rvx::cuda {

// pooled [N, D/2, H/2, W/2, C] of y [N, D, H, W, C], both of one type, with poolSign [C]: Conv3d's `pooled`.
void poolWindows(const Output& y, const float* poolSign, const Output& pooled, Context& cx);

}  // namespace rvx::cuda
