// The kernels of gradients between norms (convolutionTensorGrad.h) whose products are of fp16.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {

TensorKernel f16GradientKernel(const TensorTile& t) { return gradientKernelOf<F16>(t); }

}  // namespace rvx::cuda
