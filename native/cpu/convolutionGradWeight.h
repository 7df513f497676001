// The gradient of convolutions with respect to their weights, for conv3d and convTranspose3d alike.
#pragma once
#include "ops/convolution.h"

namespace rvx::cpu {

// dw[a, dwFirst + b, k] = sum over n, o of coarse[n, o, a] * fine[n, o*stride - padding + k*dilation, b],
// fine = 0 outside.
struct WeightGradient {
  int64_t samples = 1;
  Int3 coarseSize{}, fineSize{};
  const float *coarse = nullptr, *fine = nullptr;
  int64_t coarseChannels = 0, fineChannels = 0;
  Int3 kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  float* dw = nullptr;
  int64_t dwFirst = 0, dwChannels = 0;  // where the fine channels lie in dw, and how many it has
};

void runWeightGradient(const WeightGradient& g, Context& cx);

// db[c] = sum over voxels of dy[v, c].
void runBiasGradient(const float* dy, int64_t voxels, int64_t channels, float* db, Context& cx);

}  // namespace rvx::cpu
