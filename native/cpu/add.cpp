// add: y = a + b. Least bytes: two reads, one write. Other types than f32 as rounded.h says.
#include "core/pool.h"
#include "cpu/rounded.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Add& op, Context& cx) {
  const Rounded a(op.a, DType::f32, cx), b(op.b, DType::f32, cx);
  RoundedResult sum(op.y, cx);
  const float *p = a.data(), *q = b.data();
  float* y = sum.data();
  parallelChunks(op.y.shape.size(), 1 << 17, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = p[i] + q[i];
  });
  sum.finish();
}

}  // namespace rvx::cpu
