// sgd: one step in place over a whole list of parameters in one launch (tensorList.h); formula in math/optimisers.h.
// FLOPs: 8 a value. Least bytes a value: 3 floats read, 2 written.
// A block takes 4096 values of one tensor.
// Limits: adam.cu's; 40 bytes a tensor are uploaded each step. The momenta are read and written without momentum too.
#include "cuda/tensorList.h"
#include "math/optimisers.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

RVX_KERNEL(kListThreads) sgd(const ListLine<3>* lines, int count, SgdStep step) {
  const auto part = ldPart(lines, count, sharedMemory<ListPart<3>>());
  forPackets(part.count, [&](int at, auto length) {
    constexpr int kN = decltype(length)::value;
    float *p = part.data[0] + at, *m = part.data[2] + at;
    auto parameter = ldPacket<kN>(static_cast<const float*>(p));
    const auto gradient = ldPacket<kN>(static_cast<const float*>(part.data[1] + at));
    auto momentum = ldPacket<kN>(static_cast<const float*>(m));
    RVX_UNROLL
    for (int i = 0; i < kN; ++i)
      sgdValue(step, gradient.value[i], parameter.value[i], momentum.value[i]);
    stPacket(p, parameter), stPacket(m, momentum);
  });
}

}  // namespace

template <>
void run(const Sgd& op, Context& cx) {
  const TensorList<3> list(cx, op.parameters, op.gradients, op.momenta);
  launch(cx, "sgd", list.blocks(), kListThreads, sizeof(ListPart<3>), &sgd, list.lines(),
         list.count(), sgdStep(op));
}

}  // namespace rvx::cuda
