// Rows into and out of the form that gather_tile.h works on: columns of CS channels, P output rows
// interleaved float by float.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

struct PackRow {
  int P;
  const float* const* rows;    // P input rows (of the wanted channels); nullptr: outside, zeros
  int64_t width, stride;       // of the input row: columns, floats from one to the next
  int64_t channels;            // wanted
  const float *scale, *shift;  // of the wanted channels, or nullptr
  float slope;
  int64_t firstColumn, columns;  // columns to make, from this one of the input; zeros outside
  int64_t phases, phaseSize;     // column c goes to place c % phases * phaseSize + c / phases
  float* out;
  int64_t outStride;  // floats from place to place, P interleaved channels each
};

struct UnpackRow {
  int P, NV;
  const float* sum;     // [width][NV][lanes]
  int64_t from, width;  // voxels from..width-1 are still to be done
  float* const* rows;   // P output rows (of the block's first channel); nullptr: not there
  int64_t stride;       // floats from one output voxel to the next
  int64_t channels;     // of the block
};

RVX_ISA_DECLARE(
    void packRow(const PackRow& job); void unpackRow(const UnpackRow& job);
    // Mean and sum of squared deviations of each lane over a row of sums, `stride` floats from voxel
    // to voxel; lanes = NV * lanes.
    void laneMoments(const float* sum, int64_t width, int64_t stride, int64_t lanes, float* mean,
                     float* m2);
    // to[place[j % taps] + j / taps * step + l] = from[l * stride + j] for the lanes l < valid of a
    // vector, zero for the others; j < length. place < 0: not wanted. Lanes l / P count.
    void packLanes(const float* from, int64_t stride, int64_t valid, int P, int64_t length,
                   int64_t taps, const int64_t* place, int64_t step, float* to);)

}  // namespace rvx
