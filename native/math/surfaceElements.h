// Surfaces made of elements: the marching-cubes surface of a mask, one element in every cell of 2x2x2
// voxels that are neither all background nor all foreground, weighted by its area. Cell (d, h, w) lies
// between the voxels (d-1..d, h-1..h, w-1..w); what lies outside the volume is background. The definition of
// google-deepmind/surface-distance, which the official evaluation of KiTS uses.
//
// A cell's code has the bit 128 >> (4 w + 2 h + d) for the voxel on the low (0) or high (1) side along
// each axis: that tool counts the file's axes, w first, and its table is not symmetric.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>

#include "math/portable.h"

namespace rvx {

constexpr int64_t kCellsOfVoxel = 8;

// The bit of a cell's voxel; 0 or 1 along each axis.
RVX_PORTABLE constexpr uint32_t cellBit(int d, int h, int w) { return 128u >> (4 * w + 2 * h + d); }

// 0 for cells without an element.
RVX_PORTABLE constexpr uint32_t elementCode(uint32_t occupancy) {
  return occupancy == 255 ? 0 : occupancy;
}

// Whether `part` is this share of `total`. The same rounding on every backend.
RVX_PORTABLE inline bool reaches(uint64_t part, uint64_t total, double share) {
  return static_cast<double>(part) / static_cast<double>(total) >= share;
}

struct ElementAreas {
  std::array<double, 256> mm2{};
  // The same as integers, 1 or more where there is an element: which distance a percentile falls on is
  // decided by their sums, which no order of adding can change.
  std::array<uint64_t, 256> weight{};
};

// By code, for `spacing` in mm along d, h, w; sums of the weights of `most` elements fit in 63 bits.
ElementAreas elementAreas(const std::array<double, 3>& spacing, int64_t most);

// The area of `counts` elements of each code, summed in the order of codes.
template <class Count>
double areaOf(const std::array<double, 256>& mm2, const Count* counts) {
  double sum = 0;
  for (size_t code = 0; code < mm2.size(); ++code)
    sum += static_cast<double>(counts[code]) * mm2[code];
  return sum;
}

}  // namespace rvx
