// flip: mirrors along chosen axes. Least bytes: one read, one write. Work is split by planes of y.
#include <cstring>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

template <class T>
void flipAs(const Flip& op) {
  const auto [samples, depth, height, width, channels] = volumeAxes(op.x, "x");
  const int64_t d = depth, h = height, w = width, c = channels;
  const T* x = op.x.data<T>();
  T* y = op.y.data<T>();
  parallelFor(samples * d, [&](int64_t task) {
    const int64_t n = task / d, od = task % d, id = op.axes[0] ? d - 1 - od : od;
    for (int64_t oh = 0; oh < h; ++oh) {
      const int64_t ih = op.axes[1] ? h - 1 - oh : oh;
      T* target = y + (task * h + oh) * w * c;
      const T* source = x + ((n * d + id) * h + ih) * w * c;
      if (!op.axes[2])
        std::memcpy(target, source, size_t(w * c) * sizeof(T));
      else if (c == 1)
        for (int64_t i = 0; i < w; ++i) target[i] = source[w - 1 - i];
      else
        for (int64_t i = 0; i < w; ++i)
          for (int64_t k = 0; k < c; ++k) target[i * c + k] = source[(w - 1 - i) * c + k];
    }
  });
}

}  // namespace

template <>
void run(const Flip& op, Context&) {
  // Only the width of an element matters.
  switch (sizeOf(op.x.dtype())) {
    case 1:
      return flipAs<uint8_t>(op);
    case 2:
      return flipAs<uint16_t>(op);
    case 4:
      return flipAs<uint32_t>(op);
    default:
      return flipAs<uint64_t>(op);
  }
}

}  // namespace rvx::cpu
