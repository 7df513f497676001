// cast between any two element types (math/convert.h). Least bytes: x read, y written once.
#include "core/pool.h"
#include "math/convert.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Calls body with a null pointer to the type that stores `type`.
template <class Body>
void withType(DType type, Body&& body) {
  switch (type) {
    case DType::f32:
      return body(static_cast<float*>(nullptr));
    case DType::f64:
      return body(static_cast<double*>(nullptr));
    case DType::bf16:
      return body(static_cast<Bf16*>(nullptr));
    case DType::f16:
      return body(static_cast<F16*>(nullptr));
    case DType::u8:
      return body(static_cast<uint8_t*>(nullptr));
    case DType::i16:
      return body(static_cast<int16_t*>(nullptr));
    case DType::i32:
      return body(static_cast<int32_t*>(nullptr));
  }
}

}  // namespace

template <>
void run(const Cast& op, Context&) {
  withType(op.x.dtype(), [&](auto* from) {
    withType(op.y.dtype, [&](auto* to) {
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
