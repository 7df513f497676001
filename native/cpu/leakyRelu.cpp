// leakyRelu and its gradient. Least bytes: forward one read, one write; gradient two reads, one
// write.
#include "cpu/leakyRelu.h"

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const LeakyRelu& op, Context&) {
  const float* x = op.x.data();
  float* y = op.y.data();
  const auto slope = static_cast<float>(op.slope);
  parallelChunks(op.y.shape.size(), 1 << 17, [&](int64_t begin, int64_t end) {
    RVX_ISA_CALL(leakyReluRun)(x + begin, end - begin, slope, y + begin);
  });
}

template <>
void run(const LeakyReluGrad& op, Context&) {
  const float *x = op.x.data(), *dy = op.dy.data();
  float* dx = op.dx.data();
  const auto slope = static_cast<float>(op.slope);
  parallelChunks(op.dx.shape.size(), 1 << 17, [&](int64_t begin, int64_t end) {
    RVX_ISA_CALL(leakyReluGradRun)(x + begin, dy + begin, end - begin, slope, dx + begin);
  });
}

}  // namespace rvx::cpu
