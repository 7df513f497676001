// crossEntropy and its gradient; formulas in ops/classes.h. The gradient computes the softmax again
// rather than keep it. Least bytes: logits and target read; gradient the same and dlogits written.
#include "core/pool.h"
#include "cpu/classes.h"
#include "ops/ops.h"

namespace rvx::cpu {

void readLabels(const Labels& labels, int64_t begin, int64_t count, int64_t classes, int32_t* to) {
  if (labels.wide) {
    const int32_t* from = static_cast<const int32_t*>(labels.data) + begin;
    std::copy(from, from + count, to);
  } else {
    const uint8_t* from = static_cast<const uint8_t*>(labels.data) + begin;
    std::copy(from, from + count, to);
  }
  const auto limit = static_cast<int32_t>(classes);
  const bool ignoring = labels.ignore == static_cast<int32_t>(labels.ignore);
  const auto ignore = static_cast<int32_t>(labels.ignore);
  int32_t least = 0, most = 0;
  for (int64_t v = 0; v < count; ++v) {
    const bool skip = ignoring && to[v] == ignore;
    least = std::min(least, skip ? 0 : to[v]);
    most = std::max(most, skip ? 0 : to[v]);
    to[v] = skip ? -1 : to[v];
  }
  require(least >= 0 && most < limit, "InvalidArgument",
          "Expected labels of 0 to " + std::to_string(classes - 1) +
              " for tensor target but received " + std::to_string(least < 0 ? least : most));
}

namespace {

std::vector<float> weightsOr1(const std::vector<double>& weights, int64_t classes) {
  if (weights.empty()) return std::vector<float>(static_cast<size_t>(classes), 1.0f);
  return std::vector<float>(weights.begin(), weights.end());
}

template <class Op>
Labels labelsOf(const Op& op) {
  return {op.target.data(), op.target.dtype() == DType::i32, op.ignoreIndex};
}

}  // namespace

template <>
void run(const CrossEntropy& op, Context& cx) {
  const int64_t classes = op.logits.shape()[-1], total = op.logits.shape().size() / classes;
  const auto weights = weightsOr1(op.classWeights, classes);
  const Labels labels = labelsOf(op);
  const float* x = op.logits.data();
  const int64_t chunks = (total + kClassChunk - 1) / kClassChunk;
  Workspace parts(cx, static_cast<size_t>(chunks) * 2 * sizeof(double));
  auto* sums = parts.data<double>();
  parallelChunks(total, kClassChunk, [&](int64_t begin, int64_t end) {
    const int64_t step = classBlock(classes);
    auto* scratch =
        static_cast<float*>(threadScratch(0, static_cast<size_t>(classScratch(classes)) * 4));
    auto* block = static_cast<int32_t*>(threadScratch(1, static_cast<size_t>(step) * 4));
    double* sum = sums + begin / kClassChunk * 2;
    sum[0] = sum[1] = 0;
    for (int64_t v = begin; v < end; v += step) {
      const int64_t n = std::min(step, end - v);
      readLabels(labels, v, n, classes, block);
      RVX_ISA_CALL(crossEntropyBlock)
      (x + v * classes, block, weights.data(), static_cast<float>(op.focus), n, classes, scratch,
       sum);
    }
  });
  double loss = 0, weight = 0;
  for (int64_t i = 0; i < chunks; ++i) loss += sums[2 * i], weight += sums[2 * i + 1];
  op.loss.data()[0] = weight > 0 ? static_cast<float>(loss / weight) : 0.0f;
  op.weight.data()[0] = static_cast<float>(weight);
}

template <>
void run(const CrossEntropyGrad& op, Context&) {
  const int64_t classes = op.logits.shape()[-1], total = op.logits.shape().size() / classes;
  const auto weights = weightsOr1(op.classWeights, classes);
  const Labels labels = labelsOf(op);
  const float* x = op.logits.data();
  float* dx = op.dlogits.data();
  const float weight = op.weight.data()[0];
  const float factor = weight > 0 ? op.dloss.data()[0] / weight : 0.0f;
  parallelChunks(total, kClassChunk, [&](int64_t begin, int64_t end) {
    const int64_t step = classBlock(classes);
    auto* scratch =
        static_cast<float*>(threadScratch(0, static_cast<size_t>(classScratch(classes)) * 4));
    auto* block = static_cast<int32_t*>(threadScratch(1, static_cast<size_t>(step) * 4));
    for (int64_t v = begin; v < end; v += step) {
      const int64_t n = std::min(step, end - v), at = v * classes;
      readLabels(labels, v, n, classes, block);
      RVX_ISA_CALL(crossEntropyGradBlock)
      (x + at, block, weights.data(), static_cast<float>(op.focus), factor, n, classes, scratch,
       dx + at);
    }
  });
}

}  // namespace rvx::cpu
