// The inner loops of weight gradients (see cpu/convolutionGradWeight.cpp): outer products of channels,
// summed over the voxels of some rows, for the taps of one line of a kernel.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

// sum[tap][s][l] += sum over rows r and voxels w of lanes(r, w, tap)[l] * scalars(r, w, tap)[s].
// One side is `coarse` (the same for all taps of the line), the other `fine` (a tap further on is
// tapStep floats further on).
struct OuterProduct {
  const float *coarse, *fine;
  int64_t rows, width;
  int64_t coarseRow, coarseStep;  // floats from row to row, voxel to voxel
  int64_t fineRow, fineStep;
  int64_t taps, tapStep;
  bool fineInLanes;        // which side lies in the lanes
  int64_t lanes, scalars;  // channels of each side; lanes are read and summed to a full vector
  float* sum;
  int64_t sumTap, sumScalar;  // floats from tap to tap, scalar to scalar
};

RVX_ISA_DECLARE(void outerProduct(const OuterProduct& job, int64_t vector);
                // Vector lengths there are, longest first, ends with 0.
                const int64_t* outerProductVectors();)

}  // namespace rvx
