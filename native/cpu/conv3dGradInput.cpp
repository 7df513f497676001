// conv3dGradInput: dx[n,i,ci] = sum over co, k with i = o*s - p + k*d of w[co,ci,k] * dy[n,o,co].
//
// FLOPs as conv3d; least bytes: one read of dy and w, one write of dx. With stride 1 this is conv3d
// with flipped, transposed weights; with a stride, one such gather for each class of positions
// modulo the stride, so no sum is ever scattered. Winograd's form transforms the weights at every
// call: while training they are new each time. Other types than f32 as rounded.h says. A dy formed on load and the sums of the norm
// below are passes before and behind (formed.h).
#include <algorithm>

#include "cpu/convolution.h"
#include "cpu/formed.h"
#include "ops/ops.h"

namespace rvx::cpu {

namespace {

// What the norm below needs of its gradient.
void sumsBelow(const Conv3dGradInput& op, Context& cx) {
  const auto count = static_cast<size_t>(op.sums.shape.size());
  std::fill_n(op.sums.data(), count, 0.0f);
  if (op.dx.shape.size() == 0) return;
  const Rounded below(op.below, DType::f32, cx), dx({op.dx.tensor}, DType::f32, cx);
  const NormGradient g{below.data(),
                       dx.data(),
                       op.belowStatistics.data(),
                       op.belowGamma.data(),
                       op.belowBeta.data(),
                       static_cast<float>(op.belowSlope),
                       false};
  const Workspace sums(cx, count * sizeof(double));
  gradientSums(g, perSample(op.dx.shape), sums.data<double>(), cx);
  std::transform(sums.data<double>(), sums.data<double>() + count, op.sums.data(),
                 [](double sum) { return static_cast<float>(sum); });
}

}  // namespace

template <>
void run(const Conv3dGradInput& op, Context& cx) {
  const Shape &s = op.dy.shape(), &w = op.weight.shape();
  const DType operand = op.type.operand();
  const Formed formed(op, cx);
  const Rounded dy(formed.dy(), operand, cx), weight(op.weight, operand, cx);
  const Algorithm algorithm =
      operand == DType::f32 ? algorithmFromName(op.algorithm) : Algorithm::direct;
  RoundedResult dx(op.dx, cx);
  Gather g;
  g.samples = s[0];
  g.inSize = {s[1], s[2], s[3]};
  g.outSize = op.size;
  g.sources[0] = {dy.data(), s[4], nullptr, nullptr};
  g.kernel = {w[2], w[3], w[4]};
  g.weightCo = g.kernel[0] * g.kernel[1] * g.kernel[2];
  g.weight = weight.data() + op.first * g.weightCo;
  g.weightCi = w[1] * g.weightCo;
  g.y = dx.data();
  g.cout = op.dx.shape[4];
  for (int64_t d = 0; d < op.stride[0]; ++d)
    for (int64_t h = 0; h < op.stride[1]; ++h)
      for (int64_t x = 0; x < op.stride[2]; ++x) {
        const Int3 rest{d, h, x};
        for (size_t a = 0; a < 3; ++a)
          g.axes[a] = gradientAxis(op.size[a], g.kernel[a], op.stride[a], op.padding[a],
                                   op.dilation[a], rest[a]);
        runConvolution(g, algorithm, cx);
      }
  dx.finish();
  if (op.sums) sumsBelow(op, cx);
}

}  // namespace rvx::cpu
