// globalAveragePool and its gradient. Least bytes: x read once; dx written once.
#include "core/pool.h"
#include "cpu/norm.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const GlobalAveragePool& op, Context& cx) {
  const Shape& s = op.x.shape();
  const NormShape shape{s[0], s.size() / (s[0] * s[-1]), s[-1]};
  Workspace sums(cx, static_cast<size_t>(shape.groups * shape.channels * 2) * sizeof(double));
  normSums(op.x.data(), shape, sums.data<double>(), cx);
  float* y = op.y.data();
  for (int64_t i = 0; i < shape.groups * shape.channels; ++i)
    y[i] = static_cast<float>(sums.data<double>()[2 * i]);
}

template <>
void run(const GlobalAveragePoolGrad& op, Context&) {
  const Shape& s = op.dx.shape;
  if (s.size() == 0) return;
  const int64_t channels = s[-1], voxels = s.size() / (s[0] * channels);
  const float* dy = op.dy.data();
  float* dx = op.dx.data();
  parallelChunks(s[0] * voxels, 1 + (1 << 16) / channels, [&](int64_t begin, int64_t end) {
    for (int64_t v = begin; v < end; ++v)
      for (int64_t c = 0; c < channels; ++c)
        dx[v * channels + c] = dy[v / voxels * channels + c] / static_cast<float>(voxels);
  });
}

}  // namespace rvx::cpu
