// maskedAveragePool and its gradient. Sums in double, chunk by chunk of voxels, chunks in their order, so that the number of threads changes
// nothing. Least bytes: the masks, and x where any of them is not 0; the masks read, dx written once.
#include <algorithm>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kChunk = 1 << 11;  // voxels

// [samples, voxels, count]
struct Masks {
  const float* data;
  int64_t samples, voxels, count;

  explicit Masks(const Input& masks)
      : data(masks.data()),
        samples(masks.shape()[0]),
        voxels(masks.shape().size() / (masks.shape()[0] * masks.shape()[-1])),
        count(masks.shape()[-1]) {}
};

}  // namespace

template <>
void run(const MaskedAveragePool& op, Context& cx) {
  const Masks masks(op.masks);
  const int64_t channels = op.x.shape()[-1], width = channels + 1, row = masks.count * width;
  const int64_t perSample = (masks.voxels + kChunk - 1) / kChunk;
  // Of each chunk and mask the sums of m x, and of m.
  Workspace parts(cx, static_cast<size_t>(masks.samples * perSample * row) * sizeof(double));
  const float* x = op.x.data();
  parallelFor(masks.samples * perSample, [&](int64_t chunk) {
    double* part = parts.data<double>() + chunk * row;
    std::fill(part, part + row, 0.0);
    const int64_t first = chunk % perSample * kChunk, sample = chunk / perSample * masks.voxels;
    for (int64_t v = sample + first; v < sample + std::min(first + kChunk, masks.voxels); ++v) {
      const float* from = x + v * channels;
      for (int64_t k = 0; k < masks.count; ++k) {
        const double m = masks.data[v * masks.count + k];
        if (m == 0) continue;
        double* sums = part + k * width;
        for (int64_t c = 0; c < channels; ++c) sums[c] += m * static_cast<double>(from[c]);
        sums[channels] += m;
      }
    }
  });
  float* y = op.y.data();
  for (int64_t n = 0; n < masks.samples; ++n) {
    double* sums = parts.data<double>() + n * perSample * row;
    for (int64_t chunk = 1; chunk < perSample; ++chunk)
      for (int64_t i = 0; i < row; ++i) sums[i] += sums[chunk * row + i];
    for (int64_t k = 0; k < masks.count; ++k, sums += width, y += channels)
      for (int64_t c = 0; c < channels; ++c)
        y[c] = sums[channels] == 0 ? 0.0f : static_cast<float>(sums[c] / sums[channels]);
  }
}

template <>
void run(const MaskedAveragePoolGrad& op, Context& cx) {
  const Masks masks(op.masks);
  const int64_t channels = op.dx.shape[-1], rows = masks.samples * masks.count;
  // dy / sum of m.
  Workspace shares(cx, static_cast<size_t>(rows * channels) * sizeof(float));
  const float* dy = op.dy.data();
  parallelFor(rows, [&](int64_t at) {
    const float* mask =
        masks.data + at / masks.count * masks.voxels * masks.count + at % masks.count;
    double total = 0;
    for (int64_t v = 0; v < masks.voxels; ++v) total += mask[v * masks.count];
    float* share = shares.data<float>() + at * channels;
    for (int64_t c = 0; c < channels; ++c)
      share[c] = total == 0 ? 0.0f : static_cast<float>(dy[at * channels + c] / total);
  });
  float* dx = op.dx.data();
  parallelChunks(masks.samples * masks.voxels, 1 + (1 << 16) / channels,
                 [&](int64_t begin, int64_t end) {
                   for (int64_t v = begin; v < end; ++v) {
                     float* row = dx + v * channels;
                     std::fill(row, row + channels, 0.0f);
                     for (int64_t k = 0; k < masks.count; ++k) {
                       const float m = masks.data[v * masks.count + k];
                       if (m == 0) continue;
                       const float* share =
                           shares.data<float>() + (v / masks.voxels * masks.count + k) * channels;
                       for (int64_t c = 0; c < channels; ++c) row[c] += m * share[c];
                     }
                   }
                 });
}

}  // namespace rvx::cpu
