// The gradient of convolutions with respect to their weights, for conv3d and convTranspose3d alike.
#pragma once
#include "cpu/convolution.h"

namespace rvx::cpu {

// dw[a, b, k] = sum over n, o of coarse[n, o, a] * fine[n, o*stride - padding + k*dilation, b],
// fine = 0 outside; two fine sources lie next to each other along b, each normalised while loading where it has a scale.
struct WeightGradient {
  int64_t samples = 1;
  Int3 coarseSize{}, fineSize{};
  const float* coarse = nullptr;
  int64_t coarseChannels = 0;
  std::array<GatherSource, 2> fine;
  float slope = 1;  // of the activation after the norm
  Int3 kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  float* dw = nullptr;

  int64_t fineChannels() const { return fine[0].channels + fine[1].channels; }
  int64_t taps() const { return kernel[0] * kernel[1] * kernel[2]; }
  // No plan fits: dw, where there is any, has nothing to add up.
  bool empty() const {
    const int64_t outputs = samples * coarseSize[0] * coarseSize[1] * coarseSize[2];
    return outputs * coarseChannels * fineChannels() == 0;
  }
};

// Group sizes, of those in `sizes`, that cover `length` values with the least cost of tiles of NV vectors
// (isa/grad_tile.h) and R taps; what reaches beyond is ignored.
std::vector<int> splitRun(int64_t length, int NV, int R, const int* sizes);

void runWeightGradient(const WeightGradient& g, Context& cx);
// By the algorithm that was asked for, or that suits the shape (convolution_algorithm.cpp).
void runWeightGradient(const WeightGradient& g, Algorithm algorithm, Context& cx);

// db[c] = sum over voxels of dy[v, c].
void runBiasGradient(const float* dy, int64_t voxels, int64_t channels, float* db, Context& cx);

}  // namespace rvx::cpu
