// The parts of Winograd's convolution for few input channels and strides (cpu/winograd_stem.h) that
// run on vectors: rows of one input channel in, points of tiles, products, rows of output out.
//
// Points of an axis: the first n - 1 of kStemPoints, then infinity.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

constexpr int64_t kStemTile = 4;  // outputs along H and W
constexpr int kStemMostPoints = 7;
constexpr double kStemPoints[kStemMostPoints - 1] = {0, 1, -1, 0.5, -2, -0.5};
// Floats beyond what is wanted that these functions may read and write.
constexpr int64_t kStemSlack = 16;

// A row of one input channel. Columns firstColumn + c, c < period * places, zero outside the row, go to
// out[c % period * places + c / period], by way of `line`, of period * places floats.
struct StemRow {
  const float* x;              // nullptr: outside, zeros
  int64_t stride, width;       // floats from one column to the next, columns
  const float *scale, *shift;  // of the channel, or nullptr
  float slope;
  int64_t firstColumn, period, places;
  float *line, *out;
};

// to[r * toStep + a * stride + i] = sum over b of M[a][b] * from[b][r * fromStep + i], i < floats, r <
// rows, with the matrix that brings n inputs to n points.
struct StemInput {
  const float* from[kStemMostPoints];
  int points;
  int64_t floats;
  float* to;
  int64_t stride;
  int64_t rows, fromStep, toStep;
};

// Likewise from n points, `stride` floats apart, to the outputs of a tile, `toStride` apart.
struct StemOutput {
  const float* from;
  int64_t stride;
  int points;
  int64_t floats;
  float* to;
  int64_t toStride;
};

// Product of S tiles with NV vectors of output channels: out[(tile * NV + n) * lanes + l] = the sum over
// k < length of in[offsets[k] + tile] * weight[k][n][l].
struct StemTile {
  const float* in;
  const int64_t* offsets;
  int64_t length;
  const float* weight;
  float* out;
};
using StemTileFunction = void (*)(const StemTile&);

// Neighbouring tiles of a row, transformed along H: in[p * pointStride + h * rowStride + tile *
// tileStride + c].
struct StemStore {
  const float* in;
  int64_t pointStride, rowStride, tileStride;
  int points;
  int64_t tiles;
  float* rows[kStemTile];  // at the first tile; nullptr: not there
  int64_t stride, width;   // floats from one voxel to the next, voxels that are there
  int64_t channels;        // of up to two vectors
  bool stream;             // past the caches; rows and stride are aligned to vectors
  const float* bias;       // up to a whole vector
  // Up to a whole vector: mean and sum of squared deviations of what was stored; or nullptr.
  float *mean, *m2;
};

RVX_ISA_DECLARE(void stemRow(const StemRow& job); void stemInput(const StemInput& job);
                void stemOutput(const StemOutput& job); void stemStore(const StemStore& job);
                // nullptr where there is none; sizes as winogradTileSizes.
                StemTileFunction stemTile(int NV, int S);)

}  // namespace rvx
