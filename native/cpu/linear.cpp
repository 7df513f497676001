// linear and its gradient: heads of a few hundred values, batches of a few samples. Bound by reading
// the weight, once each way; products are summed in double, so their order does not matter much.
#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kLanes = 8;

// Sum of a[i] b[i] in a fixed order: eight interleaved sums, then their sum.
double dot(const float* a, const float* b, int64_t count) {
  double lanes[kLanes] = {};
  int64_t i = 0;
  for (; i + kLanes <= count; i += kLanes)
    for (int64_t j = 0; j < kLanes; ++j)
      lanes[j] += static_cast<double>(a[i + j]) * static_cast<double>(b[i + j]);
  for (; i < count; ++i) lanes[i % kLanes] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  double sum = 0;
  for (double lane : lanes) sum += lane;
  return sum;
}

}  // namespace

template <>
void run(const Linear& op, Context&) {
  const int64_t samples = op.x.shape()[0], in = op.x.shape()[1], out = op.weight.shape()[0];
  const float *x = op.x.data(), *weight = op.weight.data(), *bias = op.bias.data();
  float* y = op.y.data();
  parallelChunks(out, 1 + (1 << 14) / (in + 1), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o)
      for (int64_t n = 0; n < samples; ++n)
        y[n * out + o] = static_cast<float>(dot(x + n * in, weight + o * in, in) +
                                            (bias ? static_cast<double>(bias[o]) : 0.0));
  });
}

template <>
void run(const LinearGrad& op, Context&) {
  const int64_t samples = op.x.shape()[0], in = op.x.shape()[1], out = op.weight.shape()[0];
  const float *x = op.x.data(), *weight = op.weight.data(), *dy = op.dy.data();
  float *dx = op.dx.data(), *dweight = op.dweight.data(), *dbias = op.dbias.data();
  parallelChunks(out, 1 + (1 << 14) / (in + 1), [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      double bias = 0;
      for (int64_t n = 0; n < samples; ++n) bias += static_cast<double>(dy[n * out + o]);
      dbias[o] = static_cast<float>(bias);
      for (int64_t i = 0; i < in; ++i) {
        double sum = 0;
        for (int64_t n = 0; n < samples; ++n)
          sum += static_cast<double>(dy[n * out + o]) * static_cast<double>(x[n * in + i]);
        dweight[o * in + i] = static_cast<float>(sum);
      }
    }
  });
  // Columns of the weight in blocks, so that its rows are read in order.
  constexpr int64_t kBlock = 256;
  const int64_t blocks = (in + kBlock - 1) / kBlock;
  parallelFor(samples * blocks, [&](int64_t task) {
    const int64_t n = task / blocks, begin = task % blocks * kBlock;
    const int64_t count = begin + kBlock < in ? kBlock : in - begin;
    double sums[kBlock] = {};
    for (int64_t o = 0; o < out; ++o) {
      const auto factor = static_cast<double>(dy[n * out + o]);
      const float* row = weight + o * in + begin;
      for (int64_t i = 0; i < count; ++i) sums[i] += factor * static_cast<double>(row[i]);
    }
    for (int64_t i = 0; i < count; ++i) dx[n * in + begin + i] = static_cast<float>(sums[i]);
  });
}

}  // namespace rvx::cpu
