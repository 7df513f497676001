// softmax, its gradient, and argmax over the last axis. Least bytes: each tensor once.
#include "core/pool.h"
#include "cpu/classes.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Calls block(first voxel, voxels, scratch) for all blocks of [voxels, classes] values.
template <class Block>
void blocks(int64_t size, int64_t classes, Block&& block) {
  if (size == 0) return;
  parallelChunks(size / classes, kClassChunk, [&](int64_t begin, int64_t end) {
    const int64_t step = classBlock(classes);
    auto* scratch =
        static_cast<float*>(threadScratch(0, static_cast<size_t>(classScratch(classes)) * 4));
    for (int64_t v = begin; v < end; v += step) block(v, std::min(step, end - v), scratch);
  });
}

}  // namespace

template <>
void run(const Softmax& op, Context&) {
  const int64_t classes = op.x.shape()[-1];
  const float* x = op.x.data();
  float* y = op.y.data();
  blocks(op.x.shape().size(), classes, [&](int64_t v, int64_t voxels, float* scratch) {
    RVX_ISA_CALL(softmaxBlock)(x + v * classes, voxels, classes, scratch, y + v * classes);
  });
}

template <>
void run(const SoftmaxGrad& op, Context&) {
  const int64_t classes = op.y.shape()[-1];
  const float *y = op.y.data(), *dy = op.dy.data();
  float* dx = op.dx.data();
  blocks(op.y.shape().size(), classes, [&](int64_t v, int64_t voxels, float* scratch) {
    const int64_t at = v * classes;
    RVX_ISA_CALL(softmaxGradBlock)(y + at, dy + at, voxels, classes, scratch, dx + at);
  });
}

template <>
void run(const Argmax& op, Context&) {
  const int64_t classes = op.x.shape()[-1];
  const float* x = op.x.data();
  auto* y = op.y.data<uint8_t>();
  blocks(op.x.shape().size(), classes, [&](int64_t v, int64_t voxels, float* scratch) {
    RVX_ISA_CALL(argmaxBlock)(x + v * classes, voxels, classes, scratch, y + v);
  });
}

}  // namespace rvx::cpu
