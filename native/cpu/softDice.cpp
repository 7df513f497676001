// softDice and its gradient; formulas in ops/classes.h. Least bytes: logits and target read;
// gradient the same and dlogits written.
#include "core/pool.h"
#include "cpu/classes.h"
#include "math/dice.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Chunks of every sample; body(sample, chunk, first voxel of all, end).
template <class Body>
void sampleChunks(int64_t samples, int64_t voxels, Body&& body) {
  const int64_t perSample = (voxels + kClassChunk - 1) / kClassChunk;
  parallelFor(samples * perSample, [&](int64_t chunk) {
    const int64_t n = chunk / perSample, begin = chunk % perSample * kClassChunk;
    body(n, chunk, n * voxels + begin, n * voxels + std::min(begin + kClassChunk, voxels));
  });
}

template <class Op>
DiceRule ruleOf(const Op& op) {
  return {op.smooth, op.includeBackground, op.skipAbsent};
}
template <class Op>
double meanWeight(const Op& op, int64_t c, double targets) {
  return diceWeight(ruleOf(op), c, targets,
                    op.classWeights.empty() ? 1 : op.classWeights[static_cast<size_t>(c)]);
}

}  // namespace

template <>
void run(const SoftDice& op, Context& cx) {
  const Shape& s = op.logits.shape();
  const int64_t classes = s[-1], samples = s[0], voxels = s.size() / (samples * classes);
  const int64_t perSample = (voxels + kClassChunk - 1) / kClassChunk;
  const Labels labels{op.target.data(), op.target.dtype() == DType::i32};
  const float* x = op.logits.data();
  using Triple = double[3];
  Workspace memory(cx, static_cast<size_t>(samples * perSample * classes) * sizeof(Triple));
  auto* parts = memory.data<Triple>();
  sampleChunks(samples, voxels, [&](int64_t, int64_t chunk, int64_t begin, int64_t end) {
    const int64_t step = classBlock(classes);
    auto* scratch =
        static_cast<float*>(threadScratch(0, static_cast<size_t>(classScratch(classes)) * 4));
    auto* block = static_cast<int32_t*>(threadScratch(1, static_cast<size_t>(step) * 4));
    Triple* part = parts + chunk * classes;
    std::fill(&part[0][0], &part[0][0] + 3 * classes, 0.0);
    for (int64_t v = begin; v < end; v += step) {
      const int64_t n = std::min(step, end - v);
      readLabels(labels, v, n, classes, block);
      RVX_ISA_CALL(softDiceBlock)(x + v * classes, block, n, classes, scratch, part);
    }
  });
  double dice = 0, weight = 0;
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t c = 0; c < classes; ++c) {
      double sum[3] = {};
      for (int64_t i = 0; i < perSample; ++i)
        for (int k = 0; k < 3; ++k) sum[k] += parts[(n * perSample + i) * classes + c][k];
      for (int k = 0; k < 3; ++k)
        op.sums.data()[(n * classes + c) * 3 + k] = static_cast<float>(sum[k]);
      const double w = meanWeight(op, c, sum[2]);
      if (w > 0) dice += diceTerm(ruleOf(op), w, sum[0], sum[1], sum[2]);
      weight += w;
    }
  op.loss.data()[0] = weight > 0 ? static_cast<float>(1 - dice / weight) : 0.0f;
}

template <>
void run(const SoftDiceGrad& op, Context&) {
  const Shape& s = op.logits.shape();
  const int64_t classes = s[-1], samples = s[0], voxels = s.size() / (samples * classes);
  const Labels labels{op.target.data(), op.target.dtype() == DType::i32};
  const float *x = op.logits.data(), *sums = op.sums.data();
  float* dx = op.dlogits.data();
  // q_c where the target is another class, and where it is c.
  std::vector<float> absent(static_cast<size_t>(samples * classes)), present(absent.size());
  double weight = 0;
  for (int64_t i = 0; i < samples * classes; ++i)
    weight += meanWeight(op, i % classes, sums[3 * i + 2]);
  for (int64_t i = 0; i < samples * classes; ++i) {
    const double w = meanWeight(op, i % classes, sums[3 * i + 2]);
    if (w <= 0) continue;
    const DiceSlopes slopes = diceSlopes(ruleOf(op), op.dloss.data()[0] * w / weight, sums + 3 * i);
    absent[static_cast<size_t>(i)] = slopes.absent;
    present[static_cast<size_t>(i)] = slopes.present;
  }
  sampleChunks(samples, voxels, [&](int64_t sample, int64_t, int64_t begin, int64_t end) {
    const int64_t step = classBlock(classes);
    auto* scratch =
        static_cast<float*>(threadScratch(0, static_cast<size_t>(classScratch(classes)) * 4));
    auto* block = static_cast<int32_t*>(threadScratch(1, static_cast<size_t>(step) * 4));
    for (int64_t v = begin; v < end; v += step) {
      const int64_t n = std::min(step, end - v), at = v * classes;
      readLabels(labels, v, n, classes, block);
      RVX_ISA_CALL(softDiceGradBlock)
      (x + at, block, absent.data() + sample * classes, present.data() + sample * classes, n,
       classes, scratch, dx + at);
    }
  });
}

}  // namespace rvx::cpu
