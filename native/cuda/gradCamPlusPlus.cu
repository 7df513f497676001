// gradCamPlusPlus: a weight for each sample and channel from activations and gradients; ops/pooling.h has the formula, after
// Chattopadhay et al. 2018, eq. 19 (math/gradCam.h).
//
// A block takes 32 channels of a sample, a lane a channel, a warp every eighth voxel; two passes, each with sums in double that the block's
// warps join in a fixed order. Least bytes: one read of each input (the second pass finds small maps in the cache). FLOPs: one
// a value of the activations, about 8 one of the gradients, in double.
//
// Limits: f32. As many blocks as there are samples and runs of 32 channels, each of which goes through the voxels alone: latency sets the time of
// few channels; it runs once a picture.
#include "cuda/launch.h"
#include "math/gradCam.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kLanes = 32, kWarps = kThreads / kLanes;

// The sum of a lane's values over the block's warps, in their order; every thread gets its lane's.
RVX_DEVICE double sumWarps(double value, double* scratch) {
  const auto lane = static_cast<int>(threadIdx.x % kLanes);
  sts(scratch + threadIdx.x, value);
  syncBlock();
  double sum = 0;
  for (int warp = 0; warp < kWarps; ++warp) sum += lds(scratch + warp * kLanes + lane);
  syncBlock();
  return sum;
}

RVX_KERNEL(kThreads)
weigh(const float* activations, const float* gradients, int64_t voxels, int64_t channels,
      float* weights) {
  double* scratch = sharedMemory<double>();
  const int64_t runs = (channels + kLanes - 1) / kLanes;
  const int64_t sample = blockIdx.x / runs;
  const int64_t c = (blockIdx.x - sample * runs) * kLanes + threadIdx.x % kLanes;
  const auto warp = static_cast<int64_t>(threadIdx.x / kLanes);
  const bool there = c < channels;
  const int64_t base = sample * voxels * channels + c;
  double sum = 0;
  if (there)
    for (int64_t v = warp; v < voxels; v += kWarps) sum += ld(activations + base + v * channels);
  sum = sumWarps(sum, scratch);
  double weight = 0;
  if (there)
    for (int64_t v = warp; v < voxels; v += kWarps)
      weight += plusPlusTerm(ld(gradients + base + v * channels), sum);
  weight = sumWarps(weight, scratch);
  if (there && warp == 0) st(weights + sample * channels + c, static_cast<float>(weight));
}

}  // namespace

template <>
void run(const GradCamPlusPlus& op, Context& cx) {
  const Shape& s = op.activations.shape();
  const int64_t samples = s[0], channels = s[-1], voxels = s.size() / (samples * channels);
  launch(cx, "gradCamPlusPlus", blocksFor(samples * ((channels + kLanes - 1) / kLanes), 1),
         kThreads, kThreads * sizeof(double), &weigh, op.activations.data(), op.gradients.data(),
         voxels, channels, op.weights.data());
}

}  // namespace rvx::cuda
