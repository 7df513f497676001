// adjustIntensity: brightness, contrast and gamma of a volume (math/intensity.h), a value a thread and round. Least bytes: one read, one
// write. FLOPs: 4 a value, with gamma about 50.
// Limits: f32 volumes of 4 or 5 axes, mean [N, C] (ops/spatial.h). Accesses are of 4 bytes, not of 16, and with a mean each value divides
// twice in 64 bits for its place.
#include "cuda/map.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

RVX_KERNEL(kMapThreads)
adjust(const float* x, const float* mean, Intensity k, int64_t sample, int64_t channels,
       int64_t count, float* y) {
  const int64_t i = int64_t{blockIdx.x} * kMapThreads + threadIdx.x;
  if (i >= count) return;
  const float middle = mean ? ld(mean + i / sample * channels + i % channels) : 0.0f;
  st(y + i, adjustIntensity(ld(x + i), middle, k));
}

}  // namespace

template <>
void run(const AdjustIntensity& op, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.x, "x");
  const int64_t count = op.y.shape.size();
  launch(cx, "adjustIntensity", blocksFor(count, kMapThreads), kMapThreads, 0, &adjust, op.x.data(),
         op.mean ? op.mean.data() : nullptr, op.intensity(), s[1] * s[2] * s[3] * s[4], s[4], count,
         op.y.data());
}

}  // namespace rvx::cuda
