// convTranspose3d: y[n,2i+k,co] = bias[co] + sum over ci of w[ci,co,k] * X[n,i,ci], k in {0,1}^3, and its gradient with respect to
// x: dx[n,i,ci] = sum over co, k of w[ci,co,k] * dy[n,2i+k,co], a convolution with kernel and stride 2.
//
// FLOPs 2 * 8 * N * voxels of x * Cin * Cout; least bytes: one read of x and w, one write of y. Products of bf16 or fp16 on tensor
// cores (convTranspose3dTensor.cu; convolutionTensor.h), of f32 as convolutionExact.h says: the eight k are the parts of one gather
// with a single tap.
//
// Limits: kernel and stride 2, no padding, one source (ops/convolution.h); convTranspose3dTensor.cu's and convolutionExact.cu's; of the
// gradient with respect to x also convolutionTensor.cu's.
#include "cuda/convTranspose3dTensor.h"
#include "cuda/convolutionExact.h"
#include "cuda/convolutionTensor.h"
#include "ops/ops.h"

namespace rvx::cuda {

template <>
void run(const ConvTranspose3d& op, Context& cx) {
  if (op.type.operand() != DType::f32) {
    convTranspose3dTensor(op, cx);
    return;
  }
  const Shape &s = op.x.shape(), &out = op.y.shape;
  ExactGather g;
  g.samples = s[0];
  g.in = Sources(op.x.dtype(), DType::f32);
  g.in.set(0, op.x.data<void>(), s[4], op.scale.data(), op.shift.data(), op.slope);
  g.classes.resize(1);
  for (int a = 0; a < 3; ++a) {
    const auto i = static_cast<size_t>(a);
    g.classes[0][i] =
        convolutionAxis(s[a + 1], s[a + 1], int64_t{1}, int64_t{1}, int64_t{0}, int64_t{1});
    g.classes[0][i].spread = 2;
    g.outSize[i] = out[a + 1];
  }
  g.weight = op.weight.data();
  g.weightCo = 8;
  g.weightCi = 8 * out[4];
  g.bias = op.bias.data();
  g.y = op.y.data<void>(), g.type = op.type.result();
  g.cout = out[4];
  g.parts = 8;
  runExactGather(cx, "convTranspose3d/exact", std::move(g));
}

template <>
void run(const ConvTranspose3dGradInput& op, Context& cx) {
  const Shape &s = op.dy.shape(), &out = op.dx.shape;
  // Without channels of dy there is nothing to multiply, nor a tile for it.
  if (op.type.operand() == DType::f32 || s[4] == 0) {
    ExactGather g;
    g.samples = s[0];
    g.in = Sources(op.dy.dtype(), op.type.operand());
    g.in.set(0, op.dy.data<void>(), s[4]);
    g.kernel = {2, 2, 2};
    g.classes.resize(1);
    for (int a = 0; a < 3; ++a) {
      const auto i = static_cast<size_t>(a);
      g.classes[0][i] =
          convolutionAxis(s[a + 1], out[a + 1], int64_t{2}, int64_t{2}, int64_t{0}, int64_t{1});
      g.outSize[i] = out[a + 1];
    }
    g.weight = op.weight.data();
    g.weightCo = 8 * s[4];
    g.weightCi = 8;
    g.y = op.dx.data<void>(), g.type = op.type.result();
    g.cout = out[4];
    runExactGather(cx, "convTranspose3dGradInput/exact", std::move(g));
    return;
  }
  TensorConvolution c;
  c.name = "convTranspose3dGradInput";
  c.samples = tensorSize(s[0]);
  c.source[0] = {op.dy.data<void>(), tensorSize(s[4]), nullptr, nullptr};
  c.sourceType = op.dy.dtype();
  c.operand = op.type.operand();
  for (int a = 0; a < 3; ++a)
    c.axis[static_cast<size_t>(a)] =
        convolutionAxis(tensorSize(s[a + 1]), tensorSize(out[a + 1]), 2, 2, 0, 1);
  c.weight = &op.weight;
  c.y = &op.dx;
  c.cout = tensorSize(out[4]);
  convolveTensor(c, cx);
}

}  // namespace rvx::cuda
