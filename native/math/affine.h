// Affine maps of voxel indices, row-major 3x4, in double: once for all backends.
#pragma once
#include "math/portable.h"

namespace rvx {

// out = a(b(x)).
RVX_PORTABLE inline void composeAffine(const double* a, const double* b, double* out) {
  for (int r = 0; r < 3; ++r) {
    for (int c = 0; c < 4; ++c)
      out[4 * r + c] = a[4 * r] * b[c] + a[4 * r + 1] * b[4 + c] + a[4 * r + 2] * b[8 + c];
    out[4 * r + 3] += a[4 * r + 3];
  }
}

// The inverse; false where the map is singular.
RVX_PORTABLE inline bool invertAffine(const double* a, double* out) {
  const double c00 = a[5] * a[10] - a[6] * a[9];
  const double c01 = a[6] * a[8] - a[4] * a[10];
  const double c02 = a[4] * a[9] - a[5] * a[8];
  const double det = a[0] * c00 + a[1] * c01 + a[2] * c02;
  if (!(det < 0) && !(det > 0)) return false;
  const double i = 1 / det;
  out[0] = c00 * i, out[1] = (a[2] * a[9] - a[1] * a[10]) * i,
  out[2] = (a[1] * a[6] - a[2] * a[5]) * i;
  out[4] = c01 * i, out[5] = (a[0] * a[10] - a[2] * a[8]) * i,
  out[6] = (a[2] * a[4] - a[0] * a[6]) * i;
  out[8] = c02 * i, out[9] = (a[1] * a[8] - a[0] * a[9]) * i,
  out[10] = (a[0] * a[5] - a[1] * a[4]) * i;
  for (int r = 0; r < 3; ++r)
    out[4 * r + 3] = -(out[4 * r] * a[3] + out[4 * r + 1] * a[7] + out[4 * r + 2] * a[11]);
  return true;
}

// Where voxel 0 of row (d, h) falls on one axis; voxel o of it falls on that + a[4 * axis + 2] * o.
RVX_PORTABLE inline double rowStart(const double* a, int axis, double d, double h) {
  return a[4 * axis] * d + a[4 * axis + 1] * h + a[4 * axis + 3];
}

}  // namespace rvx
