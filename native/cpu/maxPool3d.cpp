// maxPool3d and its gradient; formulas in ops/pooling.h. The gradient gathers: each input row looks
// up the windows that hold it, so rows are independent and sums have a fixed order. Other types than f32 as rounded.h says.
// Least bytes: forward x read, y (and its indices) written; gradient dy and indices read, dx written.
#include "cpu/maxPool3d.h"

#include "core/pool.h"
#include "cpu/rounded.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const MaxPool3d& op, Context& cx) {
  const Shape &in = op.x.shape(), &out = op.y.shape;
  const Rounded x(op.x, DType::f32, cx);
  RoundedResult y(op.y, cx);
  const int64_t channels = in[4];
  // Six values a nanosecond.
  const auto values = double(out.size() * op.kernel * op.kernel * op.kernel);
  parallelFor(out[0] * out[1] * out[2], values / 6000, [&](int64_t row) {
    const int64_t n = row / (out[1] * out[2]), d = row / out[2] % out[1], h = row % out[2];
    const int64_t at = row * out[3] * channels;
    PoolRow r{};
    r.x = x.data() + n * in[1] * in[2] * in[3] * channels;
    r.depth = in[1], r.height = in[2], r.width = in[3], r.channels = channels;
    r.kernel = op.kernel, r.stride = op.stride, r.padding = op.padding;
    r.d = d * op.stride - op.padding, r.h = h * op.stride - op.padding, r.columns = out[3];
    if (op.scale) {
      r.scale = op.scale.data() + n * channels;
      r.shift = op.shift.data() + n * channels;
    }
    r.slope = static_cast<float>(op.slope);
    r.y = y.data() + at;
    r.indices = op.indices ? op.indices.data<uint8_t>() + at : nullptr;
    RVX_ISA_CALL(maxPoolRow)(r);
  });
  y.finish();
}

template <>
void run(const MaxPool3dGrad& op, Context& cx) {
  const Shape &out = op.dy.shape(), &in = op.dx.shape;
  const int64_t channels = in[4], sample = out[1] * out[2] * out[3] * channels;
  const Rounded dy(op.dy, DType::f32, cx);
  RoundedResult dx(op.dx, cx);
  parallelFor(in[0] * in[1] * in[2], [&](int64_t row) {
    const int64_t n = row / (in[1] * in[2]);
    PoolGradRow r{};
    r.dy = dy.data() + n * sample;
    r.indices = op.indices.data<uint8_t>() + n * sample;
    r.depth = out[1], r.height = out[2], r.width = out[3], r.channels = channels;
    r.kernel = op.kernel, r.stride = op.stride, r.padding = op.padding;
    r.d = row / in[2] % in[1], r.h = row % in[2], r.columns = in[3];
    r.dx = dx.data() + row * in[3] * channels;
    RVX_ISA_CALL(maxPoolGradRow)(r);
  });
  dx.finish();
}

}  // namespace rvx::cpu
