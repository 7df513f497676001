// conv3dGradInput: dx[n,i,ci] = sum over co, k with i = o*s - p + k*d of w[co,ci,k] * dy[n,o,co].
//
// FLOPs as conv3d; least bytes: one read of dy and w, one write of dx. Products of bf16 or fp16 on tensor cores: with stride 1 conv3d
// with flipped, transposed weights; with a stride one such launch for each class of positions modulo the stride, which together
// make conv3d's FLOPs and write every voxel once. Products of f32 as convolutionExact.h says.
#include "cuda/convolutionExact.h"
#include "cuda/convolutionTensor.h"
#include "ops/ops.h"

namespace rvx::cuda {

template <>
void run(const Conv3dGradInput& op, Context& cx) {
  const DType operand = op.type.operand();
  // Without channels of dy there is nothing to multiply, nor a tile for it.
  if (operand == DType::f32 || op.dy.shape()[4] == 0) {
    convolveExactGradInput(op, cx);
    return;
  }
  const Shape &s = op.dy.shape(), &w = op.weight.shape();
  TensorConvolution c;
  c.name = "conv3dGradInput";
  c.samples = tensorSize(s[0]);
  c.source[0] = {op.dy.data<void>(), tensorSize(s[4]), nullptr, nullptr};
  c.sourceType = op.dy.dtype();
  c.operand = operand;
  c.weight = &op.weight;
  c.transposed = true;
  c.first = tensorSize(op.first);
  c.y = &op.dx;
  c.cout = tensorSize(op.dx.shape[4]);
  for (int64_t d = 0; d < op.stride[0]; ++d)
    for (int64_t h = 0; h < op.stride[1]; ++h)
      for (int64_t x = 0; x < op.stride[2]; ++x) {
        const Int3 rest{d, h, x};
        for (int i = 0; i < 3; ++i) {
          const auto a = static_cast<size_t>(i);
          c.axis[a] =
              gradientAxis(tensorSize(s[i + 1]), tensorSize(op.size[a]), tensorSize(w[i + 2]),
                           tensorSize(op.stride[a]), tensorSize(op.padding[a]),
                           tensorSize(op.dilation[a]), tensorSize(rest[a]));
        }
        convolveTensor(c, cx);
      }
}

}  // namespace rvx::cuda
