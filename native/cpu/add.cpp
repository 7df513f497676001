// add: y = a + b. Least bytes: two reads, one write.
#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Add& op, Context&) {
  const float *a = op.a.data(), *b = op.b.data();
  float* y = op.y.data();
  parallelChunks(op.y.shape.size(), 1 << 17, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = a[i] + b[i];
  });
}

}  // namespace rvx::cpu
