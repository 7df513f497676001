// The matrix functions of a warp, on the operands of its 32 lanes. Fragments as in the PTX manual, "Matrix Fragments for
// mma.m16n8k16" and "ldmatrix".
#pragma once

namespace rvx::cuda::sim {

// in: row addresses; out: uint32_t[4] of each lane.
void loadMatrices(const void* const* in, void* const* out, bool transposed);
// in: MmaOperands of each lane; out: float[4] of each lane, added to.
void multiplyMatrices(const void* const* in, void* const* out, bool bf16);

}  // namespace rvx::cuda::sim
