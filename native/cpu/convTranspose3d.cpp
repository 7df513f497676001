// convTranspose3d: y[n,2i+k,co] = bias[co] + sum over ci of w[ci,co,k] * X[n,i,ci], k in {0,1}^3.
//
// FLOPs 2 * 8 * N * voxels of x * Cin * Cout; least bytes: one read of x and w, one write of y.
// The eight k are the parts of one gather of convolution.h with a single tap; other types than f32 as rounded.h says.
#include "cpu/convolution.h"
#include "cpu/rounded.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const ConvTranspose3d& op, Context& cx) {
  const Shape &s = op.x.shape(), &out = op.y.shape;
  Gather g;
  g.samples = s[0];
  g.inSize = {s[1], s[2], s[3]};
  g.outSize = {out[1], out[2], out[3]};
  g.slope = float(op.slope);
  const DType operand = op.type.operand();
  const bool normed = operand != DType::f32;  // already, by Rounded
  const Rounded x(op.x, operand, cx, op.scale.data(), op.shift.data(), g.slope);
  const Rounded weight(op.weight, operand, cx);
  RoundedResult y(op.y, cx);
  g.sources[0] = {x.data(), s[4], normed ? nullptr : op.scale.data(),
                  normed ? nullptr : op.shift.data()};
  g.weight = weight.data();
  g.weightCo = 8;
  g.weightCi = 8 * out[4];
  g.bias = op.bias.data();
  g.y = y.data();
  g.cout = out[4];
  for (size_t a = 0; a < 3; ++a) {
    g.axes[a] = convolutionAxis(g.inSize[a], 1, 1, 0, 1);
    g.axes[a].spread = 2;
  }
  g.parts.clear();
  for (int64_t k = 0; k < 8; ++k)
    g.parts.push_back({k, (((k >> 2) * out[2] + (k >> 1 & 1)) * out[3] + (k & 1)) * out[4]});
  runGather(g, cx);
  y.finish();
}

// dx[n,i,ci] = sum over co, k of w[ci,co,k] * dy[n,2i+k,co]: a convolution with stride 2.
template <>
void run(const ConvTranspose3dGradInput& op, Context& cx) {
  const Shape &s = op.dy.shape(), &out = op.dx.shape;
  Gather g;
  g.samples = s[0];
  g.inSize = {s[1], s[2], s[3]};
  g.outSize = {out[1], out[2], out[3]};
  const Rounded dy(op.dy, op.type.operand(), cx), weight(op.weight, op.type.operand(), cx);
  RoundedResult dx(op.dx, cx);
  g.sources[0] = {dy.data(), s[4], nullptr, nullptr};
  g.kernel = {2, 2, 2};
  for (size_t a = 0; a < 3; ++a) g.axes[a] = convolutionAxis(g.outSize[a], 2, 2, 0, 1);
  g.weight = weight.data();
  g.weightCo = 8 * s[4];
  g.weightCi = 8;
  g.y = dx.data();
  g.cout = out[4];
  runGather(g, cx);
  dx.finish();
}

}  // namespace rvx::cpu
