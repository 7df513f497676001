// instanceClasses: a table of 256 entries, looked up per voxel. Least bytes: one read, one write.
#include "ops/instanceClasses.h"

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const InstanceClasses& op, Context&) {
  requireClasses(op, op.classes.data<uint8_t>());
  uint8_t table[256] = {};
  const int64_t count = op.classes.shape().size();
  for (int64_t i = 0; i < op.first; ++i) table[i] = static_cast<uint8_t>(i);
  for (int64_t i = 0; i < count; ++i)
    table[op.first + i] = static_cast<uint8_t>(op.first + op.classes.data<uint8_t>()[i]);
  const uint8_t* x = op.x.data<uint8_t>();
  uint8_t* y = op.y.data<uint8_t>();
  parallelChunks(op.y.shape.size(), 1 << 20, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = table[x[i]];
  });
}

}  // namespace rvx::cpu
