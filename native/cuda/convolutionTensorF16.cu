// The kernels of convolutionTensor.cu whose products are of fp16.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {

TensorKernel f16Kernel(const TensorTile& t) { return kernelOf<F16>(t); }

}  // namespace rvx::cuda
