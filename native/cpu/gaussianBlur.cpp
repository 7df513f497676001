// gaussianBlur: y = G_w * (G_h * (G_d * x)), each G a normalised Gaussian of 2r + 1 taps, the nearest
// voxel counting outside (scipy.ndimage.gaussian_filter, mode nearest).
// FLOPs: 2 (2r + 1) a voxel and axis. Bytes: one read and one write a pass; passes with sigma 0 are
// not made. Work is split by planes. Sums are in float, in the order of the taps.
#include <algorithm>
#include <cstring>
#include <vector>

#include "core/pool.h"
#include "cpu/isa/blur.h"
#include "math/gaussian.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// One pass over [planes, n, inner]: along n.
void blurRows(const float* x, float* y, int64_t planes, int64_t n, int64_t inner,
              const std::vector<float>& taps) {
  const auto count = static_cast<int64_t>(taps.size()), radius = count / 2;
  // Rows are cut so that a task's rows stay in the cache while the taps pass over them.
  const int64_t cut = 4096, pieces = (inner + cut - 1) / cut;
  parallelFor(planes * pieces, [&](int64_t task) {
    const int64_t from = task % pieces * cut, length = std::min(cut, inner - from);
    const float* source = x + task / pieces * n * inner + from;
    float* target = y + task / pieces * n * inner + from;
    auto* rows = static_cast<const float**>(threadScratch(0, size_t(count) * sizeof(float*)));
    for (int64_t o = 0; o < n; ++o) {
      for (int64_t t = 0; t < count; ++t)
        rows[t] = source + std::clamp<int64_t>(o + t - radius, 0, n - 1) * inner;
      RVX_ISA_CALL(weightedRows)(rows, taps.data(), count, length, target + o * inner);
    }
  });
}

// One pass along W: each row is extended by its ends, then its shifted copies are summed.
void blurAlongWidth(const float* x, float* y, int64_t rowsInAll, int64_t width, int64_t channels,
                    const std::vector<float>& taps) {
  const auto count = static_cast<int64_t>(taps.size()), radius = count / 2;
  const int64_t length = width * channels;
  parallelChunks(rowsInAll, 64, [&](int64_t begin, int64_t end) {
    auto* shifted = static_cast<const float**>(threadScratch(0, size_t(count) * sizeof(float*)));
    auto* line = static_cast<float*>(
        threadScratch(1, size_t((width + 2 * radius) * channels) * sizeof(float)));
    for (int64_t t = 0; t < count; ++t) shifted[t] = line + t * channels;
    for (int64_t r = begin; r < end; ++r) {
      const float* row = x + r * length;
      std::memcpy(line + radius * channels, row, size_t(length) * sizeof(float));
      for (int64_t k = 0; k < radius * channels; ++k) {
        line[k] = row[k % channels];
        line[(radius + width) * channels + k] = row[length - channels + k % channels];
      }
      RVX_ISA_CALL(weightedRows)(shifted, taps.data(), count, length, y + r * length);
    }
  });
}

}  // namespace

template <>
void run(const GaussianBlur& op, Context& cx) {
  const auto [n, d, h, w, c] = volumeAxes(op.x, "x");
  const size_t bytes = op.x.tensor.bytes();
  if (bytes == 0) return;
  int passes = 0;
  for (double s : op.sigma) passes += s > 0;
  float* y = op.y.data();
  if (passes == 0) {
    std::memcpy(y, op.x.data(), bytes);
    return;
  }
  // Passes alternate between the workspace and y so that the last one ends in y.
  Workspace other(cx, passes > 1 ? bytes : 0);
  const float* from = op.x.data();
  int left = passes;
  for (size_t axis = 0; axis < 3; ++axis) {
    if (!(op.sigma[axis] > 0)) continue;
    const std::vector<float> taps =
        gaussianTaps(op.sigma[axis], gaussianRadius(op.sigma[axis], op.truncate));
    float* to = --left % 2 == 0 ? y : other.data();
    if (axis == 0) blurRows(from, to, n, d, h * w * c, taps);
    if (axis == 1) blurRows(from, to, n * d, h, w * c, taps);
    if (axis == 2) blurAlongWidth(from, to, n * d * h, w, c, taps);
    from = to;
  }
}

}  // namespace rvx::cpu
