// softmax: y_c = exp(x_c - m) / sum over k of exp(x_k - m), m the largest; softmaxGrad: dx_c = y_c (dy_c - sum of y_k dy_k);
// argmax: the first index of the largest value. All over the last axis of [voxels, C].
// FLOPs: about 20 a score (softmax), 4 (its gradient). Least bytes: each tensor once; split of work as in classGroup.h.
//
// Limits: f32; argmax of 1 to 255 classes (ops/classes.h). 2 to 8 classes stay in registers; other numbers take a warp a voxel, which reads its
// row up to three times, from the first cache while it fits there, and fills its lanes from 32 classes on.
#include "cuda/classGroup.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

template <int C>
RVX_KERNEL(kClassThreads)
softmaxFew(const float* x, int64_t voxels, float* y) {
  const int64_t group = int64_t{blockIdx.x} * kClassThreads + threadIdx.x;
  if (group * kGroup >= voxels) return;
  float s[kGroup * C];
  ldGroup<C>(x, group, voxels, s);
  RVX_UNROLL
  for (int v = 0; v < kGroup; ++v) probabilities<C>(s + v * C);
  stGroup<C>(s, group, voxels, y);
}

RVX_KERNEL(kClassThreads) softmaxMany(const float* x, int64_t voxels, int classes, float* y) {
  const int64_t voxel = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32;
  if (voxel >= voxels) return;
  const float* row = x + voxel * classes;
  const ClassSums sums = rowSums(row, classes);
  const float share = 1.0f / sums.total;
  for (auto c = static_cast<int>(threadIdx.x % 32); c < classes; c += 32)
    st(y + voxel * classes + c, exponential(ld(row + c) - sums.largest) * share);
}

template <int C>
RVX_KERNEL(kClassThreads)
softmaxGradFew(const float* y, const float* dy, int64_t voxels, float* dx) {
  const int64_t group = int64_t{blockIdx.x} * kClassThreads + threadIdx.x;
  if (group * kGroup >= voxels) return;
  float p[kGroup * C], q[kGroup * C];
  ldGroup<C>(y, group, voxels, p);
  ldGroup<C>(dy, group, voxels, q);
  RVX_UNROLL
  for (int v = 0; v < kGroup; ++v) {
    float dot = 0;
    RVX_UNROLL
    for (int c = v * C; c < (v + 1) * C; ++c) dot += p[c] * q[c];
    RVX_UNROLL
    for (int c = v * C; c < (v + 1) * C; ++c) p[c] *= q[c] - dot;
  }
  stGroup<C>(p, group, voxels, dx);
}

RVX_KERNEL(kClassThreads)
softmaxGradMany(const float* y, const float* dy, int64_t voxels, int classes, float* dx) {
  const int64_t voxel = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32;
  if (voxel >= voxels) return;
  const int64_t at = voxel * classes;
  const auto lane = static_cast<int>(threadIdx.x % 32);
  float dot = 0;
  for (int c = lane; c < classes; c += 32) dot += ld(y + at + c) * ld(dy + at + c);
  dot = reduceWarp<Plus>(dot);
  for (int c = lane; c < classes; c += 32)
    st(dx + at + c, ld(y + at + c) * (ld(dy + at + c) - dot));
}

template <int C>
RVX_KERNEL(kClassThreads)
argmaxFew(const float* x, int64_t voxels, uint8_t* y) {
  const int64_t group = int64_t{blockIdx.x} * kClassThreads + threadIdx.x;
  if (group * kGroup >= voxels) return;
  float s[kGroup * C];
  ldGroup<C>(x, group, voxels, s);
  Packet<uint8_t, kGroup> best;
  RVX_UNROLL
  for (int v = 0; v < kGroup; ++v) {
    float largest = s[v * C];
    int index = 0;
    RVX_UNROLL
    for (int c = 1; c < C; ++c) {
      const bool more = s[v * C + c] > largest;
      largest = more ? s[v * C + c] : largest;
      index = more ? c : index;
    }
    best.value[v] = static_cast<uint8_t>(index);
  }
  uint8_t* to = y + group * kGroup;
  if ((group + 1) * kGroup <= voxels) {
    stPacket(to, best);
  } else {
    RVX_UNROLL
    for (int v = 0; v < kGroup - 1; ++v)
      if (group * kGroup + v < voxels) st(to + v, best.value[v]);
  }
}

RVX_KERNEL(kClassThreads) argmaxMany(const float* x, int64_t voxels, int classes, uint8_t* y) {
  const int64_t voxel = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32;
  if (voxel >= voxels) return;
  const float* row = x + voxel * classes;
  const auto lane = static_cast<int>(threadIdx.x % 32);
  float largest = -std::numeric_limits<float>::infinity();
  int index = classes;
  for (int c = lane; c < classes; c += 32) {
    const float score = ld(row + c);
    if (!(score > largest || (index == classes && score == largest))) continue;
    largest = score, index = c;
  }
  for (int by = 16; by > 0; by >>= 1) {
    const float score = shuffleXor(largest, by);
    const int other = shuffleXor(index, by);
    const bool better = score > largest || (score == largest && other < index);
    largest = better ? score : largest;
    index = better ? other : index;
  }
  // Nothing is greater than a NaN that comes first; later ones are greater than nothing.
  const float first = ld(row);
  if (first != first || index == classes) index = 0;
  if (lane == 0) st(y + voxel, static_cast<uint8_t>(index));
}

}  // namespace

template <>
void run(const Softmax& op, Context& cx) {
  const int64_t size = op.x.shape().size();
  if (size == 0) return;
  const int64_t classes = op.x.shape()[-1], voxels = size / classes;
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "softmax", blocksFor(groupsOf(voxels), kClassThreads), kClassThreads, 0,
           &softmaxFew<decltype(c)::value>, op.x.data(), voxels, op.y.data());
  });
  if (!few)
    launch(cx, "softmax/many", blocksFor(voxels, kClassWarps), kClassThreads, 0, &softmaxMany,
           op.x.data(), voxels, static_cast<int>(classes), op.y.data());
}

template <>
void run(const SoftmaxGrad& op, Context& cx) {
  const int64_t size = op.y.shape().size();
  if (size == 0) return;
  const int64_t classes = op.y.shape()[-1], voxels = size / classes;
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "softmaxGrad", blocksFor(groupsOf(voxels), kClassThreads), kClassThreads, 0,
           &softmaxGradFew<decltype(c)::value>, op.y.data(), op.dy.data(), voxels, op.dx.data());
  });
  if (!few)
    launch(cx, "softmaxGrad/many", blocksFor(voxels, kClassWarps), kClassThreads, 0,
           &softmaxGradMany, op.y.data(), op.dy.data(), voxels, static_cast<int>(classes),
           op.dx.data());
}

template <>
void run(const Argmax& op, Context& cx) {
  const int64_t classes = op.x.shape()[-1], voxels = op.x.shape().size() / classes;
  auto* y = op.y.data<uint8_t>();
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "argmax", blocksFor(groupsOf(voxels), kClassThreads), kClassThreads, 0,
           &argmaxFew<decltype(c)::value>, op.x.data(), voxels, y);
  });
  if (!few)
    launch(cx, "argmax/many", blocksFor(voxels, kClassWarps), kClassThreads, 0, &argmaxMany,
           op.x.data(), voxels, static_cast<int>(classes), y);
}

}  // namespace rvx::cuda
