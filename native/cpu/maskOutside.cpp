// maskOutside and maskEquals: masks applied and made. Least bytes: one read of each input, one write.
#include <algorithm>
#include <limits>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

template <class T>
void equalsAs(const MaskEquals& op) {
  const T* x = op.labels.data<T>();
  uint8_t* y = op.y.data<uint8_t>();
  parallelChunks(op.y.shape.size(), 1 << 18, [&](int64_t begin, int64_t end) {
    std::fill(y + begin, y + end, uint8_t{0});
    for (double value : op.values) {
      // Values that the type cannot hold occur nowhere.
      if (value < std::numeric_limits<T>::min() || value > std::numeric_limits<T>::max()) continue;
      const auto label = static_cast<T>(value);
      for (int64_t i = begin; i < end; ++i) y[i] |= x[i] == label;
    }
  });
}

}  // namespace

template <>
void run(const MaskOutside& op, Context&) {
  const float* x = op.x.data();
  const uint8_t* mask = op.mask.data<uint8_t>();
  float* y = op.y.data();
  const int64_t c = volumeAxes(op.x, "x")[4];
  const auto value = static_cast<float>(op.value);
  parallelChunks(op.mask.shape().size(), 1 << 16, [&](int64_t begin, int64_t end) {
    if (c == 1) {
      for (int64_t i = begin; i < end; ++i) y[i] = mask[i] ? x[i] : value;
      return;
    }
    for (int64_t i = begin; i < end; ++i)
      for (int64_t k = i * c; k < (i + 1) * c; ++k) y[k] = mask[i] ? x[k] : value;
  });
}

template <>
void run(const MaskEquals& op, Context&) {
  switch (op.labels.dtype()) {
    case DType::u8:
      return equalsAs<uint8_t>(op);
    case DType::i16:
      return equalsAs<int16_t>(op);
    case DType::i32:
      return equalsAs<int32_t>(op);
    default:
      throw Error("DtypeMismatch", "Labels are u8, i16 or i32");
  }
}

}  // namespace rvx::cpu
