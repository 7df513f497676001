// Weights as tensor cores read them: [kernel tap][8 input channels][output channel][8] in 16 bits, both kinds of channels padded with
// zeros. Kept beside the weight's buffer, so that inference packs once.
#pragma once
#include "cuda/convolutionTensorPlan.h"

namespace rvx::cuda {

const void* packedWeights(const TensorConvolution& c, const TensorTile& tile, Context& cx);

}  // namespace rvx::cuda
