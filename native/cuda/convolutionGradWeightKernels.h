// The kernels of weight gradients by operand.
#pragma once
#include "cuda/convolutionGradWeightTile.h"

namespace rvx::cuda {

using GradKernel = void (*)(GradPass, unsigned tableBytes);
GradKernel gradWeightTensor(const GradTile& t, DType operand);
GradKernel gradWeightFormed(const GradTile& t, DType operand);
GradKernel gradWeightExact(const GradTile& t);

}  // namespace rvx::cuda
