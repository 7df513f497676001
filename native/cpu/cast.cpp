// cast between any two element types (math/convert.h). Least bytes: x read, y written once.
#include "core/pool.h"
#include "ops/elementType.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Cast& op, Context&) {
  withElementType(op.x.dtype(), [&](auto* from) {
    withElementType(op.y.dtype, [&](auto* to) {
      using From = std::remove_pointer_t<decltype(from)>;
      using To = std::remove_pointer_t<decltype(to)>;
      const From* x = op.x.data<From>();
      To* y = op.y.data<To>();
      parallelChunks(op.y.shape.size(), 1 << 16, [=](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) store(load(x[i]), y + i);
      });
    });
  });
}

}  // namespace rvx::cpu
