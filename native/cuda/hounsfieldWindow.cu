// hounsfieldWindow: y = clip((x - origin) factor + base), see math/window.h. FLOPs: 5 a voxel.
// Least bytes: one read (2 a voxel for i16), one write of 4; four voxels a thread, so that it stores 16 bytes (map.h).
// Limits: f32, i16, i32 or u8 in, f32 out (lib/ops/hounsfieldWindow.ts); an i32 beyond 2^24 is rounded to f32 first.
#include "cuda/map.h"
#include "math/window.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

struct Windowed {
  Window window;
  template <class T>
  RVX_DEVICE float operator()(T x) const {
    return applyWindow(static_cast<float>(x), window);
  }
};

template <class T>
void windowAll(const HounsfieldWindow& op, const Window& window, Context& cx) {
  launchMap(cx, "hounsfieldWindow", Windowed{window}, op.y.shape.size(), op.y.data(),
            op.x.data<T>());
}

}  // namespace

template <>
void run(const HounsfieldWindow& op, Context& cx) {
  const Window w = hounsfieldWindow(op.slope, op.intercept, op.level, op.width, op.low, op.high);
  switch (op.x.dtype()) {
    case DType::f32:
      return windowAll<float>(op, w, cx);
    case DType::i16:
      return windowAll<int16_t>(op, w, cx);
    case DType::i32:
      return windowAll<int32_t>(op, w, cx);
    case DType::u8:
      return windowAll<uint8_t>(op, w, cx);
    default:
      throw Error("DtypeMismatch", "The window takes f32, i16, i32 or u8");
  }
}

}  // namespace rvx::cuda
