// conv3d: y[n,o,co] = bias[co] + sum over taps k and channels ci of w[co,ci,k] * X[n, o*s-p+k*d, ci].
//
// FLOPs 2 * N * outputs * taps * Cin * Cout; least bytes: one read of x and w, one write of y.
// Brought into the gather of convolution.h, by the algorithm of convolution_algorithm.cpp; other types than f32 as rounded.h says.
// Windows are pooled once the result is whole, which is 1.5 % of a U-Net's time (docs/cpu-convolution.md).
// An up-sampled source is made first, as a tensor of its own.
#include "core/pool.h"
#include "cpu/convolution.h"
#include "cpu/pool_windows.h"
#include "cpu/rounded.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Of y before it is rounded, since rounding keeps the order of values.
void poolWindows(const Conv3d& op, const float* y, Context& cx) {
  const Shape &in = op.y.shape, &out = op.pooled.shape;
  const int64_t row = in[3] * in[4], plane = in[2] * row;
  RoundedResult pooled(op.pooled, cx);
  parallelFor(out[0] * out[1] * out[2], [&](int64_t k) {
    const int64_t n = k / (out[1] * out[2]), d = k / out[2] % out[1], h = k % out[2];
    WindowRow r{};
    r.y = y + (n * in[1] + 2 * d) * plane + 2 * h * row;
    r.row = row, r.plane = plane;
    r.columns = out[3], r.channels = out[4];
    r.sign = op.poolSign.data();
    r.pooled = pooled.data() + k * out[3] * out[4];
    RVX_ISA_CALL(poolWindowRow)(r);
  });
  pooled.finish();
}

}  // namespace

template <>
void run(const Conv3d& op, Context& cx) {
  if (op.upWeight)
    return runUpApart(op, cx, [](const auto& part, Context& own) { run(part, own); });
  const Shape &s = op.x.shape(), &w = op.weight.shape(), &out = op.y.shape;
  Gather g;
  g.samples = s[0];
  g.inSize = {s[1], s[2], s[3]};
  g.outSize = {out[1], out[2], out[3]};
  g.slope = float(op.slope);
  const DType operand = op.type.operand();
  const bool normed = operand != DType::f32;  // already, by Rounded
  const Rounded x(op.x, operand, cx, op.scale.data(), op.shift.data(), g.slope);
  const Rounded weight(op.weight, operand, cx);
  std::unique_ptr<Rounded> second;
  g.sources[0] = {x.data(), s[4], normed ? nullptr : op.scale.data(),
                  normed ? nullptr : op.shift.data()};
  if (op.second) {
    second = std::make_unique<Rounded>(op.second, operand, cx, op.secondScale.data(),
                                       op.secondShift.data(), g.slope);
    g.sources[1] = {second->data(), op.second.shape()[4], normed ? nullptr : op.secondScale.data(),
                    normed ? nullptr : op.secondShift.data()};
  }
  RoundedResult y(op.y, cx);
  g.kernel = {w[2], w[3], w[4]};
  for (size_t a = 0; a < 3; ++a)
    g.axes[a] =
        convolutionAxis(g.outSize[a], g.kernel[a], op.stride[a], op.padding[a], op.dilation[a]);
  g.weight = weight.data();
  g.weightCi = g.kernel[0] * g.kernel[1] * g.kernel[2];
  g.weightCo = w[1] * g.weightCi;
  g.bias = op.bias.data();
  g.y = y.data();
  g.cout = w[0];
  g.sums = op.sums.data();
  if (!normed) g.weightBuffer = op.weight.tensor.buffer.get();
  runConvolution(g, normed ? Algorithm::direct : algorithmFromName(op.algorithm), cx);
  if (op.pooled) poolWindows(op, y.data(), cx);
  y.finish();
}

}  // namespace rvx::cpu
