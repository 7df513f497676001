// conv3dGradWeight: dw[co,ci,k] = sum over n, o of dy[n,o,co] * X[n, o*s-p+k*d, ci]; db[co] = sum dy. X is x, normalised on load.
//
// FLOPs as conv3d; least bytes: one read of x and dy. Split as convolutionGradWeight.cpp says; operands of the product are rounded
// to the precision (rounded.h), the sum of dy takes it as stored.
#include "cpu/convolutionGradWeight.h"
#include "cpu/formed.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Conv3dGradWeight& op, Context& cx) {
  const Shape &s = op.x.shape(), &o = op.dy.shape();
  WeightGradient g;
  g.samples = s[0];
  g.fineSize = {s[1], s[2], s[3]};
  g.coarseSize = {o[1], o[2], o[3]};
  const DType operand = op.type.operand();
  g.slope = static_cast<float>(op.slope);
  const bool normed = operand != DType::f32;  // already, by Rounded
  const Rounded x(op.x, operand, cx, op.scale.data(), op.shift.data(), g.slope);
  const Formed formed(op, cx);
  const Rounded dy(formed.dy(), operand, cx);
  std::unique_ptr<Rounded> second;
  g.fine[0] = {x.data(), s[4], normed ? nullptr : op.scale.data(),
               normed ? nullptr : op.shift.data()};
  if (op.second) {
    second = std::make_unique<Rounded>(op.second, operand, cx, op.secondScale.data(),
                                       op.secondShift.data(), g.slope);
    g.fine[1] = {second->data(), op.second.shape()[4], normed ? nullptr : op.secondScale.data(),
                 normed ? nullptr : op.secondShift.data()};
  }
  g.coarse = dy.data();
  g.coarseChannels = o[4];
  g.kernel = op.kernel;
  g.stride = op.stride;
  g.padding = op.padding;
  g.dilation = op.dilation;
  g.dw = op.dw.data();
  runWeightGradient(g, operand == DType::f32 ? algorithmFromName(op.algorithm) : Algorithm::direct,
                    cx);
  if (!op.db) return;
  const Rounded stored(op.dy, DType::f32, cx);
  runBiasGradient(stored.data(), o[0] * o[1] * o[2] * o[3], o[4], op.db.data(), cx);
}

// dw[ci,co,k] = sum over n, i of X[n,i,ci] * dy[n,2i+k,co]: the same sum with the roles exchanged.
template <>
void run(const ConvTranspose3dGradWeight& op, Context& cx) {
  const Shape &s = op.x.shape(), &o = op.dy.shape();
  WeightGradient g;
  g.samples = s[0];
  g.fineSize = {o[1], o[2], o[3]};
  g.coarseSize = {s[1], s[2], s[3]};
  const DType operand = op.type.operand();
  const Rounded x(op.x, operand, cx, op.scale.data(), op.shift.data(), static_cast<float>(op.slope),
                  true);
  const Rounded dy(op.dy, operand, cx), stored(op.dy, DType::f32, cx);
  g.fine[0] = {dy.data(), o[4], nullptr, nullptr};
  g.coarse = x.data();
  g.coarseChannels = s[4];
  g.kernel = {2, 2, 2};
  g.stride = {2, 2, 2};
  g.dw = op.dw.data();
  runWeightGradient(g, cx);
  runBiasGradient(stored.data(), o[0] * o[1] * o[2] * o[3], o[4], op.db.data(), cx);
}

}  // namespace rvx::cpu
