// multiply, weightedSum and sum. Least bytes: every tensor once.
#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kGrain = 1 << 15;

}  // namespace

template <>
void run(const Multiply& op, Context&) {
  const float *a = op.a.data(), *b = op.b.data();
  float* y = op.y.data();
  parallelChunks(op.y.shape.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = a[i] * b[i];
  });
}

template <>
void run(const WeightedSum& op, Context&) {
  float* y = op.y.data();
  // A chunk of y stays in the cache while the inputs pass.
  parallelChunks(op.y.shape.size(), kGrain / 4, [&](int64_t begin, int64_t end) {
    for (size_t k = 0; k < op.inputs.size(); ++k) {
      const float* x = op.inputs[k].data();
      const auto factor = static_cast<float>(op.factors[k]);
      if (k == 0)
        for (int64_t i = begin; i < end; ++i) y[i] = factor * x[i];
      else
        for (int64_t i = begin; i < end; ++i) y[i] += factor * x[i];
    }
  });
}

template <>
void run(const Sum& op, Context& cx) {
  constexpr int64_t kLanes = 16;
  const int64_t size = op.x.shape().size(), chunks = (size + kGrain - 1) / kGrain;
  const float* x = op.x.data();
  Workspace parts(cx, static_cast<size_t>(chunks) * sizeof(double));
  parallelChunks(size, kGrain, [&](int64_t begin, int64_t end) {
    double lanes[kLanes] = {};
    int64_t i = begin;
    for (; i + kLanes <= end; i += kLanes)
      for (int64_t j = 0; j < kLanes; ++j) lanes[j] += static_cast<double>(x[i + j]);
    for (; i < end; ++i) lanes[(i - begin) % kLanes] += static_cast<double>(x[i]);
    double sum = 0;
    for (double lane : lanes) sum += lane;
    parts.data<double>()[begin / kGrain] = sum;
  });
  double sum = 0;
  for (int64_t c = 0; c < chunks; ++c) sum += parts.data<double>()[c];
  op.y.data()[0] = static_cast<float>(sum);
}

template <>
void run(const SumGrad& op, Context&) {
  const float value = op.dy.data()[0];
  float* dx = op.dx.data();
  parallelChunks(op.dx.shape.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] = value;
  });
}

}  // namespace rvx::cpu
