// conv3dGradInput: dx[n,i,ci] = sum over co, k with i = o*s - p + k*d of w[co,ci,k] * dy[n,o,co].
//
// FLOPs as conv3d; least bytes: one read of dy and w, one write of dx. Products of bf16 or fp16 on tensor cores: with stride 1 conv3d
// with flipped, transposed weights; with a stride one such launch for each class of positions modulo the stride, which together
// make conv3d's FLOPs and write every voxel once. Products of f32 as convolutionExact.h says.
//
// A dy that is formed of three tensors is formed while it is loaded, and the sums for the norm below are made while dx is stored, both as
// convolutionTensorGrad.h says: least bytes one read more each. Where a tile cannot (products or tensors of f32, channels that are not
// whole eights, up to eight channels of dy, tiles too wide to sum, a stride), it is a pass of norm.cu before or behind.
//
// Limits: conv3d's; where one class has no tile, all are made by convolutionExact.h. With a stride the launches read dy and the weight again,
// one class of stride^3 each, and none forms dy or sums on store.
#include <algorithm>

#include "cuda/convolutionExact.h"
#include "cuda/convolutionTensor.h"
#include "cuda/formed.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

TensorConvolution tensorForm(const Conv3dGradInput& op) {
  const Shape& s = op.dy.shape();
  TensorConvolution c;
  c.name = "conv3dGradInput";
  c.samples = tensorSize(s[0]);
  c.source[0] = {op.dy.data<void>(), tensorSize(s[4]), nullptr, nullptr};
  c.sourceType = op.dy.dtype();
  c.operand = op.type.operand();
  c.weight = &op.weight;
  c.transposed = true;
  c.first = tensorSize(op.first);
  c.y = &op.dx;
  c.cout = tensorSize(op.dx.shape[4]);
  return c;
}

std::array<TensorAxis, 3> axesOf(const Conv3dGradInput& op, const Int3& rest) {
  const Shape &s = op.dy.shape(), &w = op.weight.shape();
  std::array<TensorAxis, 3> axes;
  for (size_t a = 0; a < 3; ++a) {
    const int i = static_cast<int>(a) + 1;
    axes[a] = gradientAxis(tensorSize(s[i]), tensorSize(op.size[a]), tensorSize(w[i + 1]),
                           tensorSize(op.stride[a]), tensorSize(op.padding[a]),
                           tensorSize(op.dilation[a]), tensorSize(rest[a]));
  }
  return axes;
}

// Whether every class of positions modulo the stride has a tile.
bool allHaveTiles(const Conv3dGradInput& op, Context& cx) {
  TensorConvolution c = tensorForm(op);
  const auto classes = [&](size_t a) { return std::min(op.stride[a], op.size[a]); };
  for (int64_t d = 0; d < classes(0); ++d)
    for (int64_t h = 0; h < classes(1); ++h)
      for (int64_t x = 0; x < classes(2); ++x) {
        c.axis = axesOf(op, {d, h, x});
        if (!hasTile(c, cx)) return false;
      }
  return true;
}

void sumsBelow(const Conv3dGradInput& op, Context& cx) {
  const Input dx{op.dx.tensor};
  gradientSums("conv3dGradInput/sums",
               {op.below, dx, op.belowGamma, op.belowBeta, op.belowStatistics, op.dx.shape[0],
                op.belowSlope, false},
               op.sums.data(), cx);
}

}  // namespace

template <>
void run(const Conv3dGradInput& op, Context& cx) {
  if (op.dx.shape.size() == 0) {
    if (op.sums)
      gpu(cx).fill(op.sums.data(), 0, static_cast<size_t>(op.sums.shape.size()) * sizeof(float));
    return;
  }
  // Without channels of dy there is nothing to multiply, nor a tile for it.
  const bool exact =
      op.type.operand() == DType::f32 || op.dy.shape()[4] == 0 || !allHaveTiles(op, cx);
  const bool oneTensorLaunch = !exact && op.stride == Int3{1, 1, 1};
  TensorConvolution c = tensorForm(op);
  c.axis = axesOf(op, {0, 0, 0});
  if (op.dyRaw && !(oneTensorLaunch && formsOnLoad(c, cx))) {
    runOnFormed(op, "conv3dGradInput/form", cx);
    return;
  }
  if (op.below && !(oneTensorLaunch && sumsOnStore(c, cx))) {
    Conv3dGradInput rest = op;
    rest.below = OptionalInput();
    run(rest, cx);
    sumsBelow(op, cx);
    return;
  }
  if (exact) {
    convolveExactGradInput(op, cx);
    return;
  }
  if (op.dyRaw)
    c.formed = {op.dyRaw.data<void>(), op.dyCoefficients.data(), static_cast<float>(op.dySlope)};
  if (op.below)
    c.below = {&op.below,
               &op.belowGamma,
               &op.belowBeta,
               &op.belowStatistics,
               static_cast<float>(op.belowSlope),
               op.sums.data()};
  for (int64_t d = 0; d < op.stride[0]; ++d)
    for (int64_t h = 0; h < op.stride[1]; ++h)
      for (int64_t x = 0; x < op.stride[2]; ++x) {
        c.axis = axesOf(op, {d, h, x});
        convolveTensor(c, cx);
      }
}

}  // namespace rvx::cuda
