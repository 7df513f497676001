// conv3dGradWeight: dw[co,ci,k] = sum over n, o of dy[n,o,co] * x[n, o*s-p+k*d, ci]; db[co] = sum dy.
//
// FLOPs as conv3d; least bytes: one read of x and dy. Split as convolutionGradWeight.cpp says.
#include "cpu/convolutionGradWeight.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Conv3dGradWeight& op, Context& cx) {
  const Shape &s = op.x.shape(), &o = op.dy.shape();
  WeightGradient g;
  g.samples = s[0];
  g.fineSize = {s[1], s[2], s[3]};
  g.coarseSize = {o[1], o[2], o[3]};
  g.fine[0] = {op.x.data(), s[4], nullptr, nullptr};
  if (op.second) g.fine[1] = {op.second.data(), op.second.shape()[4], nullptr, nullptr};
  g.coarse = op.dy.data();
  g.coarseChannels = o[4];
  g.kernel = op.kernel;
  g.stride = op.stride;
  g.padding = op.padding;
  g.dilation = op.dilation;
  g.dw = op.dw.data();
  runWeightGradient(g, cx);
  runBiasGradient(g.coarse, o[0] * o[1] * o[2] * o[3], o[4], op.db.data(), cx);
}

// dw[ci,co,k] = sum over n, i of x[n,i,ci] * dy[n,2i+k,co]: the same sum with the roles exchanged.
template <>
void run(const ConvTranspose3dGradWeight& op, Context& cx) {
  const Shape &s = op.x.shape(), &o = op.dy.shape();
  WeightGradient g;
  g.samples = s[0];
  g.fineSize = {o[1], o[2], o[3]};
  g.coarseSize = {s[1], s[2], s[3]};
  g.fine[0] = {op.dy.data(), o[4], nullptr, nullptr};
  g.coarse = op.x.data();
  g.coarseChannels = s[4];
  g.kernel = {2, 2, 2};
  g.stride = {2, 2, 2};
  g.dw = op.dw.data();
  runWeightGradient(g, cx);
  runBiasGradient(op.dy.data(), o[0] * o[1] * o[2] * o[3], o[4], op.db.data(), cx);
}

}  // namespace rvx::cpu
