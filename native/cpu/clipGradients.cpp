// gradientNorm, clipGradients and allFinite: figures of a whole list of gradients that never leave
// the device. Sums are taken in double, chunk by chunk, and added in the order of the chunks.
#include <atomic>
#include <cmath>

#include "cpu/optimisers.h"
#include "cpu/tensorList.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

template <class List>
double normOf(const List& tensors, const std::vector<TensorChunk>& chunks) {
  std::vector<double> sums(chunks.size());
  forChunks(chunks, [&](const TensorChunk& c, size_t i) {
    sums[i] = RVX_ISA_CALL(squares)(tensors[c.tensor].data() + c.begin, c.end - c.begin);
  });
  double sum = 0;
  for (double s : sums) sum += s;
  return std::sqrt(sum);
}

}  // namespace

template <>
void run(const GradientNorm& op, Context&) {
  op.norm.data()[0] = static_cast<float>(normOf(op.gradients, chunksOf(op.gradients)));
}

template <>
void run(const ClipGradients& op, Context&) {
  const auto chunks = chunksOf(op.gradients);
  const double norm = normOf(op.gradients, chunks);
  op.norm.data()[0] = static_cast<float>(norm);
  const float factor = clipFactor(norm, op.maxNorm);
  if (factor == 1) return;
  forChunks(chunks, [&](const TensorChunk& c, size_t) {
    float* g = op.gradients[c.tensor].data();
    for (int64_t i = c.begin; i < c.end; ++i) g[i] *= factor;
  });
}

template <>
void run(const AllFinite& op, Context&) {
  std::atomic<bool> good{true};
  forChunks(chunksOf(op.tensors), [&](const TensorChunk& c, size_t) {
    if (!RVX_ISA_CALL(finite)(op.tensors[c.tensor].data() + c.begin, c.end - c.begin))
      good.store(false, std::memory_order_relaxed);
  });
  op.finite.data<int32_t>()[0] = good ? 1 : 0;
}

}  // namespace rvx::cpu
