// adam: one step in place over a whole list of parameters in one launch (tensorList.h); formula in math/optimisers.h.
// FLOPs: about 12 and two divisions and a root a value. Least bytes a value: 4 floats read, 3 written.
// Source: Kingma and Ba 2015; Loshchilov and Hutter 2019 for decoupled decay (ops/optimisers.h). A block takes 4096 values of one tensor.
//
// Limits: f32, lists of equal shapes (lib/ops/check.ts). Each block looks through the whole list for its tensor, 256 lines at once, and each
// step uploads 48 bytes a tensor: thousands of small tensors cost more than their values. The last block of each tensor is not filled.
#include "cuda/tensorList.h"
#include "math/optimisers.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

RVX_KERNEL(kListThreads) adam(const ListLine<4>* lines, int count, AdamStep step) {
  const auto part = ldPart(lines, count, sharedMemory<ListPart<4>>());
  forPackets(part.count, [&](int at, auto length) {
    constexpr int kN = decltype(length)::value;
    float *p = part.data[0] + at, *m = part.data[2] + at, *v = part.data[3] + at;
    auto parameter = ldPacket<kN>(static_cast<const float*>(p));
    const auto gradient = ldPacket<kN>(static_cast<const float*>(part.data[1] + at));
    auto first = ldPacket<kN>(static_cast<const float*>(m));
    auto second = ldPacket<kN>(static_cast<const float*>(v));
    RVX_UNROLL
    for (int i = 0; i < kN; ++i)
      adamValue(step, gradient.value[i], parameter.value[i], first.value[i], second.value[i]);
    stPacket(p, parameter), stPacket(m, first), stPacket(v, second);
  });
}

}  // namespace

template <>
void run(const Adam& op, Context& cx) {
  const TensorList<4> list(cx, op.parameters, op.gradients, op.first, op.second);
  launch(cx, "adam", list.blocks(), kListThreads, sizeof(ListPart<4>), &adam, list.lines(),
         list.count(), adamStep(op));
}

}  // namespace rvx::cuda
