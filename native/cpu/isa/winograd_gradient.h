// Transforms of Winograd's weight gradient (cpu/winograd_gradient.h); points as in winograd.h.
#pragma once
#include "cpu/isa/winograd.h"

namespace rvx {

// The gradient of a row of tiles, all channels: out[p * pointStride + tile * tileStride + c], A dy A^T
// of each tile of 4 x 4 voxels.
struct WinogradGradientLoad {
  const float* rows[4];   // nullptr: outside, zeros
  int64_t stride, width;  // of a row: floats from one voxel to the next, voxels
  int64_t channels;       // whole vectors are written, with zeros beyond these
  int64_t tiles;
  float* out;
  int64_t pointStride, tileStride;
};

// The way back from sums of products: taps [ci][27][lanes] = G^T m G of the sum m over partials of
// from[q * partialStride + p * pointStride + d * depthStride + ci * step + lane].
struct WinogradGradientStore {
  const float* from;
  int64_t partials, partialStride, pointStride, depthStride, step;
  int64_t channels;  // up to kWinogradBlock
  float* taps;
  float* planes;  // scratch of winogradGradientScratch(lanes) floats
};
constexpr int64_t winogradGradientScratch(int64_t lanes) {
  return 3 * kWinogradPoints * kWinogradBlock * lanes;
}

RVX_ISA_DECLARE(
    void winogradGradientLoad(const WinogradGradientLoad& job);
    // Along D: of two planes the sum and the difference; the other two of four points are the planes.
    void winogradDepthGradient(const float* first, const float* second, int64_t floats, float* sum,
                               float* difference);
    void winogradGradientStore(const WinogradGradientStore& job);)

}  // namespace rvx
