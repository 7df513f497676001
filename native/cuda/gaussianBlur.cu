// gaussianBlur: y = G_w * (G_h * (G_d * x)), each G a normalised Gaussian, the nearest voxel counting outside; a pass an axis
// (blurLines.cu), none where sigma is 0. Least bytes: 8 a value and pass. FLOPs: 2 a tap, value and pass.
// Limits: f32 volumes of 4 or 5 axes; sigma up to 1000 voxels, truncate up to 100 (lib/ops/gaussianBlur.ts); blurLines.cu's. Workspace: x once
// more where two axes or three are blurred. Taps are made by the host in double (math/gaussian.h) and uploaded each call.
#include "cuda/blurLines.h"
#include "math/gaussian.h"
#include "ops/ops.h"

namespace rvx::cuda {

template <>
void run(const GaussianBlur& op, Context& cx) {
  const auto [n, d, h, w, c] = volumeAxes(op.x, "x");
  const size_t bytes = op.x.tensor.bytes();
  if (bytes == 0) return;
  std::vector<float> taps;
  int64_t radius[3] = {};
  size_t first[3] = {};
  int passes = 0;
  for (size_t axis = 0; axis < 3; ++axis) {
    if (!(op.sigma[axis] > 0)) continue;
    ++passes;
    radius[axis] = gaussianRadius(op.sigma[axis], op.truncate), first[axis] = taps.size();
    const std::vector<float> own = gaussianTaps(op.sigma[axis], radius[axis]);
    taps.insert(taps.end(), own.begin(), own.end());
  }
  float* y = op.y.data();
  if (passes == 0) {
    gpu(cx).copy(y, op.x.data(), bytes);
    return;
  }
  const DeviceTable<float> table(cx, taps);
  // Passes alternate between the workspace and y so that the last one ends in y.
  Workspace other(cx, passes > 1 ? bytes : 0);
  const int64_t planes[3] = {n, n * d, n * d * h}, size[3] = {d, h, w};
  const int64_t inner[3] = {h * w * c, w * c, c};
  const float* from = op.x.data();
  for (size_t axis = 0; axis < 3; ++axis) {
    if (!(op.sigma[axis] > 0)) continue;
    float* to = --passes % 2 == 0 ? y : other.data();
    blurAlong(cx, from, to, planes[axis], size[axis], inner[axis], table.data() + first[axis],
              radius[axis]);
    from = to;
  }
}

}  // namespace rvx::cuda
