// gradCamPlusPlus: a weight for each sample and channel from activations and gradients; native/ops/pooling.h has the formula.
//
// Two passes over both inputs, whose second finds them in the cache: FLOPs about 8 a value, least bytes one read of each. Split: samples
// and fixed runs of channels; sums in double, over space in order.
#include <algorithm>

#include "core/pool.h"
#include "math/gradCam.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kRun = 16;  // channels: one cache line of floats

}  // namespace

template <>
void run(const GradCamPlusPlus& op, Context&) {
  const Shape& s = op.activations.shape();
  const int64_t samples = s[0], channels = s[-1], voxels = s.size() / (samples * channels);
  const int64_t runs = (channels + kRun - 1) / kRun;
  parallelFor(samples * runs, [&](int64_t task) {
    const int64_t sample = task / runs, first = task % runs * kRun;
    const int64_t count = std::min(kRun, channels - first);
    const float* a = op.activations.data() + sample * voxels * channels + first;
    const float* g = op.gradients.data() + sample * voxels * channels + first;
    double sums[kRun] = {}, weights[kRun] = {};
    for (int64_t v = 0; v < voxels; ++v)
      for (int64_t c = 0; c < count; ++c) sums[c] += a[v * channels + c];
    for (int64_t v = 0; v < voxels; ++v)
      for (int64_t c = 0; c < count; ++c) weights[c] += plusPlusTerm(g[v * channels + c], sums[c]);
    for (int64_t c = 0; c < count; ++c)
      op.weights.data()[sample * channels + first + c] = static_cast<float>(weights[c]);
  });
}

}  // namespace rvx::cpu
