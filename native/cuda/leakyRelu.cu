// y = x where x > 0, slope x elsewhere, and its gradient dx = dy where x > 0, slope dy elsewhere.
// FLOPs: 1 a value. Least bytes: forward one read, one write; gradient two reads, one write. 16 bytes of each a thread (map.h).
// Limits: f32 alone (ops/elementwise.h). Below some 10^6 values an H100 is not full.
#include "cuda/map.h"
#include "math/activation.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

struct Leaky {
  float slope;
  RVX_DEVICE float operator()(float x) const { return leakyRelu(x, slope); }
};
struct LeakyGradient {
  float slope;
  RVX_DEVICE float operator()(float x, float dy) const { return leakyReluGrad(x, dy, slope); }
};

}  // namespace

template <>
void run(const LeakyRelu& op, Context& cx) {
  launchMap(cx, "leakyRelu", Leaky{static_cast<float>(op.slope)}, op.y.shape.size(), op.y.data(),
            op.x.data());
}

template <>
void run(const LeakyReluGrad& op, Context& cx) {
  launchMap(cx, "leakyReluGrad", LeakyGradient{static_cast<float>(op.slope)}, op.dx.shape.size(),
            op.dx.data(), op.x.data(), op.dy.data());
}

}  // namespace rvx::cuda
