// The kernels of convolutionTensor.cu whose products are of fp16.
// Formula, FLOPs, bytes, split of work and limits as there. A file of its own, so that it is compiled beside the others.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {

TensorKernel f16Kernel(const TensorTile& t) { return kernelOf<F16>(t); }

}  // namespace rvx::cuda
