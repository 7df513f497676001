// concatChannels, sliceChannels and the latter's gradient: copies of runs of channels.
// Least bytes: every value read once and written once.
#include <cstring>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kVoxels = 1 << 12;

// A run of `count` floats a voxel, from one row length to another.
void copyRuns(const float* from, int64_t fromStride, float* to, int64_t toStride, int64_t voxels,
              int64_t count) {
  if (count == 1) {
    for (int64_t v = 0; v < voxels; ++v) to[v * toStride] = from[v * fromStride];
    return;
  }
  if (count % 16 == 0) {
    // Known multiples compile to vector moves without a call.
    for (int64_t v = 0; v < voxels; ++v)
      for (int64_t c = 0; c < count; c += 16)
        std::memcpy(to + v * toStride + c, from + v * fromStride + c, 16 * sizeof(float));
    return;
  }
  for (int64_t v = 0; v < voxels; ++v)
    for (int64_t c = 0; c < count; ++c) to[v * toStride + c] = from[v * fromStride + c];
}

}  // namespace

template <>
void run(const ConcatChannels& op, Context&) {
  const int64_t channels = op.y.shape[-1];
  if (op.y.shape.size() == 0) return;
  float* y = op.y.data();
  parallelChunks(op.y.shape.size() / channels, kVoxels, [&](int64_t begin, int64_t end) {
    int64_t at = 0;
    for (const Input& x : op.inputs) {
      const int64_t count = x.shape()[-1];
      copyRuns(x.data() + begin * count, count, y + begin * channels + at, channels, end - begin,
               count);
      at += count;
    }
  });
}

template <>
void run(const SliceChannels& op, Context&) {
  const int64_t channels = op.x.shape()[-1], count = op.to - op.from;
  const float* x = op.x.data();
  float* y = op.y.data();
  parallelChunks(op.y.shape.size() / count, kVoxels, [&](int64_t begin, int64_t end) {
    copyRuns(x + begin * channels + op.from, channels, y + begin * count, count, end - begin,
             count);
  });
}

template <>
void run(const SliceChannelsGrad& op, Context&) {
  const int64_t channels = op.dx.shape[-1], count = op.dy.shape()[-1];
  const float* dy = op.dy.data();
  float* dx = op.dx.data();
  parallelChunks(op.dx.shape.size() / channels, kVoxels, [&](int64_t begin, int64_t end) {
    std::memset(dx + begin * channels, 0, static_cast<size_t>((end - begin) * channels) * 4);
    copyRuns(dy + begin * count, count, dx + begin * channels + op.from, channels, end - begin,
             count);
  });
}

}  // namespace rvx::cpu
