// The innermost loop of weight gradients (see cpu/convolutionGradWeight.cpp): R x B values of the
// fine tensor by NV vectors of channels of the coarse one, summed in registers over some rows.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

struct GradTile {
  const float* fine;                    // packed, of the first voxel; B values next to each other
  int64_t fineVoxel, fineRow, fineTap;  // floats to the next voxel, row, and of the R taps
  const float* coarse;                  // NV vectors of the first voxel
  int64_t coarseVoxel, coarseRow;
  int64_t width, rows;
  float* sum;  // [R, sumTap floats apart][B][NV][lanes], added to
  int64_t sumTap;
};
using GradFunction = void (*)(const GradTile&);

// P: rows interleaved in the lanes.
struct GradKind {
  int P, NV, R, B;
};

RVX_ISA_DECLARE(
    // nullptr where there is none.
    GradFunction findGrad(GradKind kind); GradFunction findGradPaired(GradKind kind);
    // The sizes B for NV and R, descending, ends with 0.
    const int* gradSizes(int NV, int R);
    // The way back from sums to a weight: to[a * stride + j] = the sum over partials q and over the
    // P lanes of channel a of from[q * partialStride + place[j % taps] + j / taps * step + lane],
    // for a < valid, j < length.
    void unpackLanes(const float* from, int64_t partials, int64_t partialStride,
                     const int64_t* place, int64_t step, int64_t valid, int P, int64_t length,
                     int64_t taps, float* to, int64_t stride);
    // sums[c] += the sum of y[v * channels + c]; scratch of channels * lanes floats.
    void sumChannels(const float* y, int64_t voxels, int64_t channels, float* scratch,
                     double* sums);)

}  // namespace rvx
