// average: running average of a whole list of parameters, in place, in one launch (tensorList.h).
// FLOPs: 3 a value. Least bytes a value: 2 floats read, 1 written.
// A block takes 4096 values of one tensor.
// Limits: adam.cu's; 32 bytes a tensor are uploaded each step.
#include "cuda/tensorList.h"
#include "math/optimisers.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

RVX_KERNEL(kListThreads) average(const ListLine<2>* lines, int count, float share) {
  const auto part = ldPart(lines, count, sharedMemory<ListPart<2>>());
  forPackets(part.count, [&](int at, auto length) {
    constexpr int kN = decltype(length)::value;
    float* to = part.data[0] + at;
    auto mean = ldPacket<kN>(static_cast<const float*>(to));
    const auto parameter = ldPacket<kN>(static_cast<const float*>(part.data[1] + at));
    RVX_UNROLL
    for (int i = 0; i < kN; ++i) averageValue(share, parameter.value[i], mean.value[i]);
    stPacket(to, mean);
  });
}

}  // namespace

template <>
void run(const Average& op, Context& cx) {
  const TensorList<2> list(cx, op.averages, op.parameters);
  launch(cx, "average", list.blocks(), kListThreads, sizeof(ListPart<2>), &average, list.lines(),
         list.count(), static_cast<float>(1 - op.decay));
}

}  // namespace rvx::cuda
