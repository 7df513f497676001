// crossEntropy: loss = sum of w_t (log sum over c of exp(x_c) - x_t) / sum of w_t over voxels, and dlogits_c = dloss w_t (p_c - t_c)
// / sum of w_t, with a focus the focal loss (math/focal.h); see ops/classes.h. The gradient computes the softmax again rather than keep it.
// FLOPs: about 20 a score. Least bytes: logits and target read; the gradient the same and dlogits written. Work as in classGroup.h.
//
// A thread adds the four losses of its voxels in float, all further sums are in double: over its voxels, over the block by a tree,
// over the blocks by one block. Labels that are no class must fail the operation, so the host reads two integers back.
//
// Limits: f32 logits, u8 or i32 targets (ops/classes.h). 2 to 8 classes stay in registers, other numbers take a warp a voxel, of which a single
// class uses one lane. The read-back waits for the GPU. The gradient does not look for labels that are no class: the loss has.
#include "cuda/classGroup.h"
#include "math/focal.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

// Voxels of a block at least: 16 a thread, so that the block's tree is a small part of its work.
constexpr int64_t kVoxels = int64_t{kClassThreads} * 16;

struct FewWeights {
  float value[kFewClasses];
};

template <int C>
RVX_DEVICE float weightOf(const FewWeights& weights, int32_t label) {
  float w = 0;
  RVX_UNROLL
  for (int c = 0; c < C; ++c) w = label == c ? weights.value[c] : w;
  return w;
}
RVX_DEVICE float weightOf(const float* weights, int32_t label, int classes) {
  if (label < 0 || label >= classes) return 0;
  return weights ? ld(weights + label) : 1.0f;
}

RVX_DEVICE void storeSums(double loss, double weight, double* sums) {
  loss = sumBlock(loss, sharedMemory<double>());
  weight = sumBlock(weight, sharedMemory<double>());
  if (threadIdx.x != 0) return;
  st(sums + 2 * blockIdx.x, loss);
  st(sums + 2 * blockIdx.x + 1, weight);
}

template <int C>
RVX_KERNEL(kClassThreads)
lossesFew(const float* x, Labels labels, FewWeights weights, float focus, int64_t voxels,
          double* sums) {
  double loss = 0, weight = 0;
  const int64_t groups = (voxels + kGroup - 1) / kGroup;
  for (int64_t group = int64_t{blockIdx.x} * kClassThreads + threadIdx.x; group < groups;
       group += int64_t{gridDim.x} * kClassThreads) {
    float s[kGroup * C];
    int32_t label[kGroup];
    ldGroup<C>(x, group, voxels, s);
    ldLabels(labels, group, 0, voxels, label);
    float losses = 0, total = 0;
    RVX_UNROLL
    for (int v = 0; v < kGroup; ++v) {
      float score = 0;
      RVX_UNROLL
      for (int c = 0; c < C; ++c) score = label[v] == c ? s[v * C + c] : score;
      const float w = weightOf<C>(weights, label[v]);
      const ClassSums of = exponentials<C>(s + v * C);
      const float loss = logarithm(of.total) + (of.largest - score);
      losses += label[v] < 0 ? 0.0f : w * (focus > 0 ? focalLoss(loss, focus) : loss);
      total += w;
    }
    loss += losses, weight += total;
  }
  storeSums(loss, weight, sums);
}

RVX_KERNEL(kClassThreads)
lossesMany(const float* x, Labels labels, const float* weights, float focus, int64_t voxels,
           double* sums) {
  const bool first = threadIdx.x % 32 == 0;
  double loss = 0, weight = 0;
  for (int64_t v = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32; v < voxels;
       v += int64_t{gridDim.x} * kClassWarps) {
    const float* row = x + v * labels.classes;
    const ClassSums of = rowSums(row, labels.classes);
    if (!first) continue;
    const int32_t label = ldLabel(labels, v);
    if (label < 0 || label >= labels.classes) continue;
    const float w = weightOf(weights, label, labels.classes);
    const float own = logarithm(of.total) + (of.largest - ld(row + label));
    loss += w * (focus > 0 ? focalLoss(own, focus) : own);
    weight += w;
  }
  storeSums(loss, weight, sums);
}

RVX_KERNEL(kClassThreads)
meanLoss(const double* sums, int count, float* meanOut, float* weightOut) {
  double loss = 0, weight = 0;
  for (auto i = static_cast<int>(threadIdx.x); i < count; i += kClassThreads)
    loss += ld(sums + 2 * i), weight += ld(sums + 2 * i + 1);
  loss = sumBlock(loss, sharedMemory<double>());
  weight = sumBlock(weight, sharedMemory<double>());
  if (threadIdx.x != 0) return;
  st(meanOut, weight > 0 ? static_cast<float>(loss / weight) : 0.0f);
  st(weightOut, static_cast<float>(weight));
}

RVX_DEVICE float gradientFactor(const float* weight, const float* dloss) {
  const float w = ld(weight);
  return w > 0 ? ld(dloss) / w : 0.0f;
}

template <int C>
RVX_KERNEL(kClassThreads)
gradientFew(const float* x, Labels labels, FewWeights weights, float focus, const float* weight,
            const float* dloss, int64_t voxels, float* dx) {
  const int64_t group = int64_t{blockIdx.x} * kClassThreads + threadIdx.x;
  if (group * kGroup >= voxels) return;
  float s[kGroup * C];
  int32_t label[kGroup];
  ldGroup<C>(x, group, voxels, s);
  ldLabels(labels, group, 0, voxels, label);
  const float factor = gradientFactor(weight, dloss);
  RVX_UNROLL
  for (int v = 0; v < kGroup; ++v) {
    probabilities<C>(s + v * C);
    float w = weightOf<C>(weights, label[v]) * factor;
    if (focus > 0) {
      float hit = 0;
      RVX_UNROLL
      for (int c = 0; c < C; ++c) hit = label[v] == c ? s[v * C + c] : hit;
      w *= focalRate(hit, focus);
    }
    RVX_UNROLL
    for (int c = 0; c < C; ++c) {
      const float error = s[v * C + c] - (label[v] == c ? 1.0f : 0.0f);
      s[v * C + c] = label[v] < 0 ? 0.0f : w * error;
    }
  }
  stGroup<C>(s, group, voxels, dx);
}

RVX_KERNEL(kClassThreads)
gradientMany(const float* x, Labels labels, const float* weights, float focus, const float* weight,
             const float* dloss, int64_t voxels, float* dx) {
  const int64_t v = int64_t{blockIdx.x} * kClassWarps + threadIdx.x / 32;
  if (v >= voxels) return;
  const int classes = labels.classes;
  const int32_t label = ldLabel(labels, v);
  const ClassSums of = rowSums(x + v * classes, classes);
  const float share = 1.0f / of.total;
  float w = weightOf(weights, label, classes) * gradientFactor(weight, dloss);
  if (focus > 0 && label >= 0 && label < classes)
    w *= focalRate(exponential(ld(x + v * classes + label) - of.largest) * share, focus);
  for (auto c = static_cast<int>(threadIdx.x % 32); c < classes; c += 32) {
    const float p = exponential(ld(x + v * classes + c) - of.largest) * share;
    const float error = p - (label == c ? 1.0f : 0.0f);
    st(dx + v * classes + c, label < 0 ? 0.0f : w * error);
  }
}

// Weights as kernels take them: among the arguments for few classes, as a table for many. Without any each is 1.
FewWeights fewWeights(const std::vector<double>& weights) {
  FewWeights few;
  for (size_t c = 0; c < kFewClasses; ++c)
    few.value[c] = weights.empty()      ? 1.0f
                   : c < weights.size() ? static_cast<float>(weights[c])
                                        : 0.0f;
  return few;
}
DeviceTable<float> manyWeights(Context& cx, const std::vector<double>& weights) {
  return {cx, std::vector<float>(weights.begin(), weights.end())};
}

}  // namespace

template <>
void run(const CrossEntropy& op, Context& cx) {
  const int64_t classes = op.logits.shape()[-1], voxels = op.logits.shape().size() / classes;
  const LabelRange range(cx);
  const Labels labels = labelsOf(op.target, classes, op.ignoreIndex, range.data());
  const size_t shared = 32 * sizeof(double);
  const unsigned blocks = summingBlocks(voxels, kVoxels);
  const Workspace sums(cx, blocks * 2 * sizeof(double));
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "crossEntropy", blocks, kClassThreads, shared, &lossesFew<decltype(c)::value>,
           op.logits.data(), labels, fewWeights(op.classWeights), static_cast<float>(op.focus),
           voxels, sums.data<double>());
  });
  if (!few) {
    const auto weights = manyWeights(cx, op.classWeights);
    launch(cx, "crossEntropy/many", blocks, kClassThreads, shared, &lossesMany, op.logits.data(),
           labels, op.classWeights.empty() ? nullptr : weights.data(), static_cast<float>(op.focus),
           voxels, sums.data<double>());
  }
  launch(cx, "crossEntropy/mean", 1u, kClassThreads, shared, &meanLoss, sums.data<double>(),
         static_cast<int>(blocks), op.loss.data(), op.weight.data());
  range.check(classes);
}

template <>
void run(const CrossEntropyGrad& op, Context& cx) {
  const int64_t classes = op.logits.shape()[-1], voxels = op.logits.shape().size() / classes;
  const Labels labels = labelsOf(op.target, classes, op.ignoreIndex, nullptr);
  const bool few = withFewClasses(classes, [&](auto c) {
    launch(cx, "crossEntropyGrad", blocksFor(groupsOf(voxels), kClassThreads), kClassThreads, 0,
           &gradientFew<decltype(c)::value>, op.logits.data(), labels, fewWeights(op.classWeights),
           static_cast<float>(op.focus), op.weight.data(), op.dloss.data(), voxels,
           op.dlogits.data());
  });
  if (few) return;
  const auto weights = manyWeights(cx, op.classWeights);
  launch(cx, "crossEntropyGrad/many", blocksFor(voxels, kClassWarps), kClassThreads, 0,
         &gradientMany, op.logits.data(), labels,
         op.classWeights.empty() ? nullptr : weights.data(), static_cast<float>(op.focus),
         op.weight.data(), op.dloss.data(), voxels, op.dlogits.data());
}

}  // namespace rvx::cuda
