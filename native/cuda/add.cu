// y = a + b, of one type: f32, bf16 or f16. FLOPs: 1 a value. Least bytes: two reads, one write; 16 bytes of each a thread (map.h).
// Limits: equal shapes, no broadcasting (ops/elementwise.h). Below some 10^6 values of f32, four for each of 132 x 2048 threads, an H100 is
// not full.
#include "cuda/map.h"
#include "cuda/stored.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

struct Added {
  template <class T>
  RVX_DEVICE T operator()(T a, T b) const {
    return asStored<T>(asFloat(a) + asFloat(b));
  }
};

}  // namespace

template <>
void run(const Add& op, Context& cx) {
  withStoredType(op.y.dtype, [&](auto* stored) {
    using T = std::remove_pointer_t<decltype(stored)>;
    launchMap(cx, "add", Added{}, op.y.shape.size(), op.y.data<T>(), op.a.data<T>(),
              op.b.data<T>());
  });
}

}  // namespace rvx::cuda
