// The transforms of Winograd's convolution (cpu/winograd_plan.h), on blocks of kWinogradBlock channels
// of one tensor plane. Points along H and W: 0, 1, -1, 1/2, -2, infinity (F(4,3)); along D: 0, 1, -1,
// infinity (F(2,3)). Point (h, w) has number 6h + w.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

constexpr int64_t kWinogradPoints = 36;
constexpr int64_t kWinogradDepth = 4;
constexpr int64_t kWinogradBlock = 16;
constexpr int64_t kWinogradTile = 4;  // outputs along H and W

// Input of a row of tiles, one block of channels: out[p * pointStride + tile * kWinogradBlock + c].
struct WinogradLoad {
  const float* rows[6];        // at the block's first channel; nullptr: outside, zeros
  int64_t stride, width;       // of a row: floats from one column to the next, columns
  const float *scale, *shift;  // of the block's channels, or nullptr
  float slope;
  int64_t firstColumn, tiles;  // first input column of the first tile; columns outside are zeros
  float* out;
  int64_t pointStride;
};

// Output of a row of tiles, all channels, of in[p * pointStride + tile * tileStride + c].
struct WinogradStore {
  const float* in;
  int64_t pointStride, tileStride, tiles;
  float* rows[4];         // nullptr: not there
  int64_t stride, width;  // of a row: floats from one voxel to the next, voxels
  int64_t channels;
  bool
      stream;  // past the caches, where rows are aligned to vectors and these are whole lines of one
  const float* bias;  // up to a whole vector
  // Up to a whole vector: mean and sum of squared deviations of what was stored; or nullptr.
  float *mean, *m2;
};

// Weights of one vector of output channels: taps [ci][27][lanes] become
// to[p * pointStride + q * depthStride + ci * step + lane].
struct WinogradWeight {
  const float* taps;
  int64_t channels, padded;  // from `channels` to `padded` zeros
  float* to;
  int64_t pointStride, depthStride, step;
};

// Product of S rows with NV vectors of output channels: out[row * outStride + n * lanes + l] = (add: +)
// the sum over blocks b and channels c < run of in[offsets[b] + row * kWinogradBlock + c] *
// weight[b][c][n][l].
struct WinogradTile {
  const float* in;
  const int64_t* offsets;
  int64_t blocks, run;  // at least one each
  const float* weight;
  float* out;
  int64_t outStride;
  bool add;
};
using WinogradTileFunction = void (*)(const WinogradTile&);

RVX_ISA_DECLARE(
    // nullptr where there is none. Sizes end with 0.
    WinogradTileFunction winogradTile(int NV, int S); const int* winogradTileSizes(int NV);
    void winogradLoad(const WinogradLoad& job); void winogradStore(const WinogradStore& job);
    void winogradWeight(const WinogradWeight& job);
    // Along D: four planes to four points, to[q * stride + i], and four points to two planes; whole
    // blocks of 16 floats.
    void winogradDepthLoad(const float* const planes[4], int64_t floats, float* to, int64_t stride);
    void winogradDepthStore(const float* points, int64_t stride, int64_t floats, float* first,
                            float* second);)

}  // namespace rvx
