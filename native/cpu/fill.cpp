// fill: y = value. Least bytes: one write.
#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kGrain = 1 << 18;

template <class T>
void fillWith(const Output& y, T value) {
  T* data = y.data<T>();
  parallelChunks(y.shape.size(), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) data[i] = value;
  });
}

}  // namespace

template <>
void run(const Fill& op, Context&) {
  switch (op.y.dtype) {
    case DType::f32:
      return fillWith<float>(op.y, static_cast<float>(op.value));
    case DType::f64:
      return fillWith<double>(op.y, op.value);
    case DType::i32:
      return fillWith<int32_t>(op.y, static_cast<int32_t>(op.value));
    case DType::i16:
      return fillWith<int16_t>(op.y, static_cast<int16_t>(op.value));
    case DType::u8:
      return fillWith<uint8_t>(op.y, static_cast<uint8_t>(op.value));
    case DType::f16:
    case DType::bf16:
      return fillWith<uint16_t>(op.y, 0);  // infer() lets nothing else pass
  }
}

}  // namespace rvx::cpu
