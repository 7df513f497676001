// crop: y[n, o, c] = x[n, start + o, c], fill outside. Least bytes: one read, one write of y. Work is
// split by planes of y; each row is one copy and up to two fills.
#include <algorithm>
#include <cstring>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

template <class T>
void cropAs(const Crop& op, T fill) {
  const std::array<int64_t, 5> in = volumeAxes(op.x, "x"), out = volumeAxes(op.y.shape, "y");
  const int64_t c = in[4], row = out[3] * c;
  // The part of each row that lies inside x.
  const int64_t from = std::clamp<int64_t>(-op.start[2], 0, out[3]);
  const int64_t to = std::clamp<int64_t>(in[3] - op.start[2], from, out[3]);
  const T* x = op.x.data<T>();
  T* y = op.y.data<T>();
  parallelFor(out[0] * out[1], [&](int64_t task) {
    const int64_t n = task / out[1], d = task % out[1] + op.start[0];
    for (int64_t h = 0; h < out[2]; ++h) {
      T* target = y + (task * out[2] + h) * row;
      const int64_t source = h + op.start[1];
      if (d < 0 || d >= in[1] || source < 0 || source >= in[2]) {
        std::fill_n(target, row, fill);
        continue;
      }
      std::fill_n(target, from * c, fill);
      if (to > from)
        std::memcpy(target + from * c,
                    x + (((n * in[1] + d) * in[2] + source) * in[3] + op.start[2] + from) * c,
                    size_t((to - from) * c) * sizeof(T));
      std::fill_n(target + to * c, (out[3] - to) * c, fill);
    }
  });
}

}  // namespace

template <>
void run(const Crop& op, Context&) {
  switch (op.x.dtype()) {
    case DType::f32:
      return cropAs<float>(op, static_cast<float>(op.fill));
    case DType::i32:
      return cropAs<int32_t>(op, static_cast<int32_t>(op.fill));
    case DType::i16:
      return cropAs<int16_t>(op, static_cast<int16_t>(op.fill));
    case DType::u8:
      return cropAs<uint8_t>(op, static_cast<uint8_t>(op.fill));
    default:
      throw Error("DtypeMismatch", "Crops take f32, i32, i16 or u8");
  }
}

}  // namespace rvx::cpu
