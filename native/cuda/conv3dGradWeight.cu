// conv3dGradWeight: dw[co,ci,k] = sum over n, o of dy[n,o,co] * X[n, o*s-p+k*d, ci]; db[co] = sum dy. X is x, normalised on load.
//
// FLOPs as conv3d; least bytes: one read of x and dy. Products as convolutionGradWeight.h says; the sum of dy takes it as it is
// stored, not rounded to the precision. A dy that is formed of three tensors (least bytes: one read more) is formed on load, by products of
// f32 or where it is stored otherwise than the products' type as a tensor before.
//
// Limits: convolutionGradWeight.cu's; an up-sampled source must be stored; of a dy that is formed there is no db (ops/convolution.h).
#include "cuda/convolutionGradWeight.h"
#include "cuda/formed.h"
#include "ops/ops.h"

namespace rvx::cuda {

template <>
void run(const Conv3dGradWeight& op, Context& cx) {
  const Shape &s = op.x.shape(), &o = op.dy.shape();
  WeightGradient g;
  g.name = "conv3dGradWeight";
  g.samples = s[0];
  g.fineSize = {s[1], s[2], s[3]};
  g.coarseSize = {o[1], o[2], o[3]};
  g.coarse = {op.dy.data<void>(), op.dy.dtype(), o[4], nullptr, nullptr};
  g.fine[0] = {op.x.data<void>(), op.x.dtype(), s[4], op.scale.data(), op.shift.data()};
  if (op.second)
    g.fine[1] = {op.second.data<void>(), op.second.dtype(), op.second.shape()[4],
                 op.secondScale.data(), op.secondShift.data()};
  g.slope = static_cast<float>(op.slope);
  g.operand = op.type.operand();
  g.kernel = op.kernel, g.stride = op.stride, g.padding = op.padding, g.dilation = op.dilation;
  if (op.dyRaw && !formsOnLoad(g, cx)) {
    runOnFormed(op, "conv3dGradWeight/form", cx);
    return;
  }
  if (op.dyRaw)
    g.formed = {op.dyRaw.data<void>(), op.dyCoefficients.data(), static_cast<float>(op.dySlope)};
  g.dw = op.dw.data();
  runWeightGradient(g, cx);
  if (!op.db) return;
  runBiasGradient("conv3dGradWeight/bias", g.coarse.data, g.coarse.type, o[0] * o[1] * o[2] * o[3],
                  o[4], op.db.data(), cx);
}

// dw[ci,co,k] = sum over n, i of X[n,i,ci] * dy[n,2i+k,co]: the same sum with the roles exchanged.
template <>
void run(const ConvTranspose3dGradWeight& op, Context& cx) {
  const Shape &s = op.x.shape(), &o = op.dy.shape();
  WeightGradient g;
  g.name = "convTranspose3dGradWeight";
  g.samples = s[0];
  g.fineSize = {o[1], o[2], o[3]};
  g.coarseSize = {s[1], s[2], s[3]};
  g.coarse = {op.x.data<void>(), op.x.dtype(), s[4], op.scale.data(), op.shift.data()};
  g.fine[0] = {op.dy.data<void>(), op.dy.dtype(), o[4], nullptr, nullptr};
  g.slope = static_cast<float>(op.slope);
  g.operand = op.type.operand();
  g.kernel = g.stride = {2, 2, 2};
  g.dw = op.dw.data();
  runWeightGradient(g, cx);
  runBiasGradient("convTranspose3dGradWeight/bias", g.fine[0].data, g.fine[0].type,
                  o[0] * o[1] * o[2] * o[3], o[4], op.db.data(), cx);
}

}  // namespace rvx::cuda
