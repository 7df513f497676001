// The transposed convolution on tensor cores.
#pragma once
#include "ops/convolution.h"

namespace rvx::cuda {

void convTranspose3dTensor(const ConvTranspose3d& op, Context& cx);

}  // namespace rvx::cuda
