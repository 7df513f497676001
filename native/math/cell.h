// The cell of a grid around a position, once for all backends: voxel centres lie at whole numbers.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

RVX_PORTABLE inline int64_t floorToInt(double p) {
  const auto i = static_cast<int64_t>(p);
  return i - (p < static_cast<double>(i) ? 1 : 0);
}

// One axis of trilinear interpolation: weight 1 - fraction at `low`, fraction at `high`.
struct Cell {
  int64_t low, high;
  float fraction;
  bool lowInside, highInside;
};

// Outside positions: both ends outside (not read). With `border` the position is first moved to the
// nearest voxel centre, so that both ends are inside.
RVX_PORTABLE inline Cell cellAt(double p, int64_t size, bool border) {
  const double last = static_cast<double>(size - 1);
  if (border) p = p > 0 ? (p < last ? p : last) : 0;
  if (!(p > -1 && p < last + 1)) return {0, 0, 0.0f, false, false};
  const int64_t low = floorToInt(p), high = low + 1;
  const auto fraction = static_cast<float>(p - static_cast<double>(low));
  // At the last centre itself the upper end has no weight and need not exist.
  const bool single = border && high >= size;
  return {low, single ? low : high, single ? 0.0f : fraction, low >= 0, single || high < size};
}

// The voxel of nearest-neighbour sampling, floor(p + 0.5), or -1 outside.
RVX_PORTABLE inline int64_t nearestVoxel(double p, int64_t size, bool border) {
  const double last = static_cast<double>(size - 1);
  if (border) p = p > 0 ? (p < last ? p : last) : 0;
  if (!(p >= -0.5 && p < last + 0.5)) return -1;
  return floorToInt(p + 0.5);
}

}  // namespace rvx
