// dropout: x scaled or zeroed by a counter-based generator, so that the mask is never stored.
// Least bytes: x read, y written.
#include "cpu/dropout.h"

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Dropout& op, Context&) {
  const float* x = op.x.data();
  float* y = op.y.data();
  const auto scale = static_cast<float>(1 / (1 - op.p));
  parallelChunks(op.y.shape.size(), 1 << 14, [&](int64_t begin, int64_t end) {
    RVX_ISA_CALL(dropoutRun)
    (x + begin, begin / 4, end - begin, static_cast<uint64_t>(op.seed),
     static_cast<uint64_t>(op.offset), static_cast<float>(op.p), scale, y + begin);
  });
}

}  // namespace rvx::cpu
