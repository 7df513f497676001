// The kernels of convolutionTensor.cu that make their first source (convolutionTensorUp.h).
// Formula, FLOPs and split of work there; bytes are convolutionTensor.cu's, with the coarse tensor read in place of the source.
//
// Limits: tiles of 16 or 32 channels a warp, three taps along H, no stride and no dilation, even axes, a sum that is not split, coarse voxels
// with all their channels in shared memory (planUp); else two operations.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {
namespace {

template <class T, int Depth, int Columns>
RVX_KERNEL_BLOCKS(32 * kTileWarps, 2)
multiplyUp(TensorPass p) {
  multiplyTiles<T, true, Depth, Columns, TensorForm::up>(p);
}

template <class T>
TensorKernel kernelOfUp(const TensorTile& t) {
  return t.columns == 2 ? &multiplyUp<T, 2, 2> : &multiplyUp<T, 1, 4>;
}

}  // namespace

TensorKernel upKernel(DType operand, const TensorTile& t) {
  return operand == DType::bf16 ? kernelOfUp<Bf16>(t) : kernelOfUp<F16>(t);
}

}  // namespace rvx::cuda
