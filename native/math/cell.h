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

// Whether a position lies in one of the grid's voxels: half a voxel round the centres, a little more for rounding.
RVX_PORTABLE inline bool insideGrid(double p, int64_t size) {
  constexpr double kReach = 0.5 + 1e-6;
  return p >= -kReach && p <= static_cast<double>(size - 1) + kReach;
}

// Corner i of a cell reaches up where its bit (4: first axis, 2, 1) is set.
RVX_PORTABLE inline bool upper(int corner, int axis) { return (corner >> (2 - axis)) & 1; }
RVX_PORTABLE inline float cornerWeight(const Cell (&cell)[3], int corner) {
  const Cell &d = cell[0], &h = cell[1], &w = cell[2];
  return (upper(corner, 0) ? d.fraction : 1 - d.fraction) *
         (upper(corner, 1) ? h.fraction : 1 - h.fraction) *
         (upper(corner, 2) ? w.fraction : 1 - w.fraction);
}
RVX_PORTABLE inline int64_t cornerVoxel(const Cell (&cell)[3], int corner, int64_t h, int64_t w) {
  const int64_t i = upper(corner, 0) ? cell[0].high : cell[0].low;
  const int64_t j = upper(corner, 1) ? cell[1].high : cell[1].low;
  return (i * h + j) * w + (upper(corner, 2) ? cell[2].high : cell[2].low);
}
RVX_PORTABLE inline bool cornerInside(const Cell (&cell)[3], int corner) {
  return (upper(corner, 0) ? cell[0].highInside : cell[0].lowInside) &&
         (upper(corner, 1) ? cell[1].highInside : cell[1].lowInside) &&
         (upper(corner, 2) ? cell[2].highInside : cell[2].lowInside);
}

// Trilinear interpolation in a volume of h * w voxels a plane; read(voxel) is the value there, `fill` that of voxels outside.
template <class Read>
RVX_PORTABLE inline float trilinear(const Cell (&cell)[3], int64_t h, int64_t w, float fill,
                                    Read read) {
  const Cell &d = cell[0], &r = cell[1], &s = cell[2];
  const float fd = d.fraction, fr = r.fraction, fs = s.fraction;
  const bool inside =
      d.lowInside && d.highInside && r.lowInside && r.highInside && s.lowInside && s.highInside;
  if (inside) {
    const int64_t rows[4] = {(d.low * h + r.low) * w, (d.low * h + r.high) * w,
                             (d.high * h + r.low) * w, (d.high * h + r.high) * w};
    float v[4];
    for (int i = 0; i < 4; ++i) {
      const float low = read(rows[i] + s.low), high = read(rows[i] + s.high);
      v[i] = low * (1 - fs) + high * fs;
    }
    const float front = v[0] * (1 - fr) + v[1] * fr, back = v[2] * (1 - fr) + v[3] * fr;
    return front * (1 - fd) + back * fd;
  }
  const bool some = (d.lowInside || d.highInside) && (r.lowInside || r.highInside) &&
                    (s.lowInside || s.highInside);
  if (!some) return fill;
  float sum = 0;
  for (int corner = 0; corner < 8; ++corner) {
    const float weight = cornerWeight(cell, corner);
    if (weight == 0) continue;
    sum += weight * (cornerInside(cell, corner) ? read(cornerVoxel(cell, corner, h, w)) : fill);
  }
  return sum;
}

}  // namespace rvx
