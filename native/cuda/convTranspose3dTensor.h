// The transposed convolution on tensor cores, and its weights as they are packed for them.
#pragma once
#include "ops/convolution.h"

namespace rvx::cuda {

void convTranspose3dTensor(const ConvTranspose3d& op, Context& cx);

// [8 taps x Cout / 8][Cin / 32][lane]: the second operand of two m16n8k16 over 32 input channels, as lane l takes it; both kinds of
// channels padded with zeros, whole groups of 64 columns. Kept beside the weight's buffer.
struct TransposedWeights {
  const void* data = nullptr;
  int coutUnits = 0, chunks = 0;  // of 8 output, of 32 input channels
};
TransposedWeights packedTransposed(const Input& weight, DType operand, Context& cx);

}  // namespace rvx::cuda
