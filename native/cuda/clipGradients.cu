// gradientNorm, clipGradients and allFinite: figures of a whole list of tensors, in one launch over all of them (tensorList.h), that
// never leave the device. Squares are added in double: by a thread over its 16 values, by the block's tree, then one block adds the
// chunks' sums; the order depends on the sizes alone.
// FLOPs: 2 in double a value. Least bytes: one read; clipping one read and one write more where it scales, none where it does not.
// Limits: f32, at least one tensor (lib/ops/clipGradients.ts); adam.cu's, with 24 bytes a tensor uploaded. The chunks' sums are added by one
// block: of 10^9 values 240 a thread. A NaN among the gradients makes the norm NaN, and nothing is scaled (math/optimisers.h).
#include <cmath>

#include "cuda/map.h"
#include "cuda/reduce.h"
#include "cuda/tensorList.h"
#include "math/optimisers.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kTotalThreads = 1024;

RVX_KERNEL(kListThreads) squares(const ListLine<1>* lines, int count, double* sums) {
  const auto part = ldPart(lines, count, sharedMemory<ListPart<1>>());
  double sum = 0;
  forPackets(part.count, [&](int at, auto length) {
    constexpr int kN = decltype(length)::value;
    const auto x = ldPacket<kN>(static_cast<const float*>(part.data[0] + at));
    RVX_UNROLL
    for (int i = 0; i < kN; ++i) {
      const auto value = static_cast<double>(x.value[i]);
      sum += value * value;
    }
  });
  sum = sumBlock(sum, sharedMemory<double>(sizeof(ListPart<1>)));
  if (threadIdx.x == 0) st(sums + blockIdx.x, sum);
}

RVX_KERNEL(kTotalThreads) normOf(const double* sums, int count, double* norm, float* rounded) {
  double sum = 0;
  for (auto i = static_cast<int>(threadIdx.x); i < count; i += kTotalThreads) sum += ld(sums + i);
  sum = sumBlock(sum, sharedMemory<double>());
  if (threadIdx.x != 0) return;
  sum = std::sqrt(sum);
  st(norm, sum);
  st(rounded, static_cast<float>(sum));
}

RVX_KERNEL(kListThreads)
scale(const ListLine<1>* lines, int count, const double* norm, double maxNorm) {
  const float factor = clipFactor(ld(norm), maxNorm);
  if (factor == 1) return;
  const auto part = ldPart(lines, count, sharedMemory<ListPart<1>>());
  forPackets(part.count, [&](int at, auto length) {
    constexpr int kN = decltype(length)::value;
    float* p = part.data[0] + at;
    auto x = ldPacket<kN>(static_cast<const float*>(p));
    RVX_UNROLL
    for (int i = 0; i < kN; ++i) x.value[i] *= factor;
    stPacket(p, x);
  });
}

// Stores 0 where any value is not finite; `finite` holds 1 before.
RVX_KERNEL(kListThreads) findNotFinite(const ListLine<1>* lines, int count, int32_t* finite) {
  const auto part = ldPart(lines, count, sharedMemory<ListPart<1>>());
  bool bad = false;
  forPackets(part.count, [&](int at, auto length) {
    constexpr int kN = decltype(length)::value;
    const auto x = ldPacket<kN>(static_cast<const float*>(part.data[0] + at));
    RVX_UNROLL
    for (int i = 0; i < kN; ++i) bad = bad || notFinite(x.value[i]);
  });
  if (bad) st(finite, 0);
}

struct One {
  RVX_DEVICE int32_t operator()() const { return 1; }
};

void launchNorm(Context& cx, const TensorList<1>& list, double* norm, float* rounded) {
  const Workspace sums(cx, (list.blocks() + size_t{1}) * sizeof(double));
  constexpr size_t kScratch = 32 * sizeof(double);
  launch(cx, "gradientNorm/squares", list.blocks(), kListThreads, sizeof(ListPart<1>) + kScratch,
         &squares, list.lines(), list.count(), sums.data<double>());
  launch(cx, "gradientNorm/total", 1u, kTotalThreads, kScratch, &normOf, sums.data<double>(),
         static_cast<int>(list.blocks()), norm, rounded);
}

}  // namespace

template <>
void run(const GradientNorm& op, Context& cx) {
  const TensorList<1> list(cx, op.gradients);
  const Workspace norm(cx, sizeof(double));
  launchNorm(cx, list, norm.data<double>(), op.norm.data());
}

template <>
void run(const ClipGradients& op, Context& cx) {
  const TensorList<1> list(cx, op.gradients);
  const Workspace norm(cx, sizeof(double));
  launchNorm(cx, list, norm.data<double>(), op.norm.data());
  launch(cx, "clipGradients", list.blocks(), kListThreads, sizeof(ListPart<1>), &scale,
         list.lines(), list.count(), norm.data<double>(), op.maxNorm);
}

template <>
void run(const AllFinite& op, Context& cx) {
  const TensorList<1> list(cx, op.tensors);
  launchMap(cx, "allFinite/one", One{}, 1, op.finite.data<int32_t>());
  launch(cx, "allFinite", list.blocks(), kListThreads, sizeof(ListPart<1>), &findNotFinite,
         list.lines(), list.count(), op.finite.data<int32_t>());
}

}  // namespace rvx::cuda
