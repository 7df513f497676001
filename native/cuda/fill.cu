// y = value everywhere. Least bytes: one write of y, 16 bytes a thread (map.h); zeros are the driver's memset. No FLOPs.
// Limits: of the 16-bit floats zero alone (ops/elementwise.h). Else none but memory.
#include <cmath>

#include "cuda/map.h"
#include "math/convert.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

template <class T>
struct Constant {
  T value;
  RVX_DEVICE T operator()() const { return value; }
};

template <class T>
void fillWith(const Fill& op, Context& cx) {
  T value;
  store(op.value, &value);
  launchMap(cx, "fill", Constant<T>{value}, op.y.shape.size(), op.y.data<T>());
}

}  // namespace

template <>
void run(const Fill& op, Context& cx) {
  const bool sign = op.y.dtype == DType::f32 || op.y.dtype == DType::f64;
  if (op.value == 0 && !(sign && std::signbit(op.value))) {
    gpu(cx).fill(op.y.data<void>(), 0, op.y.tensor.bytes());
    return;
  }
  switch (op.y.dtype) {
    case DType::f32:
      return fillWith<float>(op, cx);
    case DType::f64:
      return fillWith<double>(op, cx);
    case DType::u8:
      return fillWith<uint8_t>(op, cx);
    case DType::i16:
      return fillWith<int16_t>(op, cx);
    case DType::i32:
      return fillWith<int32_t>(op, cx);
    case DType::f16:
    case DType::bf16:
      return;  // infer() lets nothing but zero pass
  }
}

}  // namespace rvx::cuda
