// The kernels of gradients between norms (convolutionTensorGrad.h) whose products are of fp16.
// Formula, FLOPs, bytes, split of work and limits as there and in convolutionTensor.cu. A file of its own, so that it is compiled beside the
// others.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {

TensorKernel f16GradientKernel(const TensorTile& t) { return gradientKernelOf<F16>(t); }

}  // namespace rvx::cuda
