// conv3d: y[n,o,co] = bias[co] + sum over taps k and channels ci of w[co,ci,k] * X[n, o*s-p+k*d, ci].
//
// FLOPs 2 * N * outputs * taps * Cin * Cout; least bytes: one read of x and w, one write of y. Products of bf16 or fp16 on tensor
// cores (convolutionTensor.h), of f32 as convolutionExact.h says. An up-sampled source is made in the tiles where that pays
// (convolutionTensorUp.h), else before, as a tensor of its own. Windows are pooled by the store of a tensor-core tile where it can,
// else by a kernel behind it (convolutionPool.h).
//
// Limits: one group of channels, two sources at most; a pool needs two voxels along each axis of y (ops/convolution.h). Axes and channels below
// 2^30 on tensor cores (tensorSize); further ones in convolutionTensor.cu and convolutionExact.cu, which also makes what has no tile there (hasTile).
#include "cuda/convolutionExact.h"
#include "cuda/convolutionPool.h"
#include "cuda/convolutionTensor.h"
#include "ops/ops.h"

namespace rvx::cuda {

template <>
void run(const Conv3d& op, Context& cx);

namespace {

// Returns whether the windows are pooled.
bool convolve(const Conv3d& op, Context& cx) {
  const DType operand = op.type.operand();
  // Also pools, as an operation of its own does.
  const auto apart = [&] {
    runUpApart(op, cx, [](const auto& part, Context& own) { run(part, own); });
    return true;
  };
  // Without input channels or results there is nothing to multiply, nor a tile for it.
  if (operand == DType::f32 || op.weight.shape()[1] == 0 || op.y.shape.size() == 0) {
    if (op.upWeight) return apart();
    convolveExact(op, cx);
    return false;
  }
  const Shape s = op.sourceShape(), &w = op.weight.shape(), &out = op.y.shape;
  TensorConvolution c;
  c.name = "conv3d";
  c.samples = tensorSize(s[0]);
  const TensorSource x{op.x.data<void>(), tensorSize(op.x.shape()[4]), op.scale.data(),
                       op.shift.data()};
  if (op.upWeight) {
    c.up = {x, &op.upWeight, op.upBias.data()};
    c.source[0].channels = tensorSize(s[4]);
  } else {
    c.source[0] = x;
  }
  if (op.second)
    c.source[1] = {op.second.data<void>(), tensorSize(op.second.shape()[4]), op.secondScale.data(),
                   op.secondShift.data()};
  c.sourceType = op.x.dtype();
  c.operand = operand;
  c.slope = static_cast<float>(op.slope);
  for (int i = 0; i < 3; ++i) {
    const auto a = static_cast<size_t>(i);
    c.axis[a] = convolutionAxis(tensorSize(s[i + 1]), tensorSize(out[i + 1]), tensorSize(w[i + 2]),
                                tensorSize(op.stride[a]), tensorSize(op.padding[a]),
                                tensorSize(op.dilation[a]));
  }
  c.weight = &op.weight;
  c.bias = op.bias.data();
  c.y = &op.y;
  c.cout = tensorSize(w[0]);
  c.sums = op.sums.data();
  if (op.pooled) c.poolSign = op.poolSign.data(), c.pooled = &op.pooled;
  if (op.upWeight && !makesUp(c, cx)) return apart();
  if (!hasTile(c, cx)) {
    convolveExact(op, cx);
    return false;
  }
  return convolveTensor(c, cx);
}

}  // namespace

template <>
void run(const Conv3d& op, Context& cx) {
  const bool pooled = convolve(op, cx) || !op.pooled || op.pooled.shape.size() == 0;
  if (!pooled) poolWindows(op.y, op.poolSign.data(), op.pooled, cx);
}

}  // namespace rvx::cuda
