// The kernels of gradients between norms (convolutionTensorGrad.h) whose products are of bf16.
#include "cuda/convolutionTensorKernel.h"

namespace rvx::cuda {

TensorKernel bf16GradientKernel(const TensorTile& t) { return gradientKernelOf<Bf16>(t); }

}  // namespace rvx::cuda
