// The kernels of convolutionTensor.cu whose products are of bf16.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {

TensorKernel bf16Kernel(const TensorTile& t) { return kernelOf<Bf16>(t); }

}  // namespace rvx::cuda
