// The cascade's formulas on voxels, once for all backends: a crop round a component, and what a CT voxel is by one crop.
#pragma once
#include <cmath>
#include <cstdint>

#include "math/affine.h"

namespace rvx {

// Crop index -> index on the component table's grid: cubic voxels of `step` mm, enlarged where the box and `margin` mm on each side
// would not fit into `size`, round the middle of the box (lowest d,h,w, highest d,h,w).
RVX_PORTABLE inline void cropAffine(const int32_t* box, const int64_t* size, const double* spacing,
                                    double step, double margin, bool mirror, double* crop) {
  for (int a = 0; a < 3; ++a) {
    const double extent = (box[3 + a] - box[a] + 1) * spacing[a] + 2 * margin;
    const double needed = extent / static_cast<double>(size[a]);
    step = step < needed ? needed : step;
  }
  for (int i = 0; i < 12; ++i) crop[i] = 0;
  for (int a = 0; a < 3; ++a) {
    const double middle = (box[a] + box[3 + a]) / 2.0;
    const double sign = mirror && a == 2 ? -1 : 1;
    const double scale = sign * step / spacing[a];
    crop[5 * a] = scale;
    crop[4 * a + 3] = middle - scale * static_cast<double>(size[a] - 1) / 2;
  }
}

// One side's crop as a CT voxel sees it.
struct FindingsCrop {
  const float* logits;    // [d, h, w, 3]: background, kidney, mass
  const uint8_t* masses;  // [d, h, w]: the mass's component, 0 for none
  int64_t size[3];
  double toCrop[12];  // CT index -> crop index
  // A side without a kidney was skipped: its affine reads as zeros, which has no inverse.
  bool usable;
  uint8_t kidney, firstMass;  // the labels of the kidney and of component 1
  uint8_t capacity;  // components beyond it are none: their labels would be the other side's
};

// The part of w = first, first + 1, ..., first + count - 1 for which every crop coordinate lies in [0, size - 1].
RVX_PORTABLE inline void insideRange(const FindingsCrop& c, double d, double h, int64_t first,
                                     int64_t count, int64_t* begin, int64_t* end) {
  double low = static_cast<double>(first), high = static_cast<double>(first + count - 1);
  for (int a = 0; a < 3; ++a) {
    const double* m = c.toCrop + 4 * a;
    const double offset = m[0] * d + m[1] * h + m[3], slope = m[2];
    const double most = static_cast<double>(c.size[a] - 1);
    if (slope == 0) {
      if (offset < 0 || offset > most) high = static_cast<double>(first) - 1;
      continue;
    }
    const double at0 = -offset / slope, at1 = (most - offset) / slope;
    const double least = at0 < at1 ? at0 : at1, greatest = at0 < at1 ? at1 : at0;
    low = low < least ? least : low;
    high = high > greatest ? greatest : high;
  }
  *begin = static_cast<int64_t>(ceil(low));
  *end = high < low ? *begin : static_cast<int64_t>(floor(high)) + 1;
}

// The label that one crop gives to a CT voxel; logit(i) and mass(i) read its arrays.
template <class Logit, class Mass>
RVX_PORTABLE inline uint8_t lookInto(const FindingsCrop& c, double d, double h, double w,
                                     Logit logit, Mass mass) {
  int64_t base[3];
  float part[3][2];
  for (int a = 0; a < 3; ++a) {
    const double* m = c.toCrop + 4 * a;
    const double at = m[0] * d + m[1] * h + m[2] * w + m[3];
    const double most = static_cast<double>(c.size[a] > 2 ? c.size[a] - 2 : 0);
    double low = floor(at);
    low = low < 0 ? 0 : low > most ? most : low;
    base[a] = static_cast<int64_t>(low);
    float f = static_cast<float>(at - low);
    f = f < 0 ? 0 : f > 1 ? 1 : f;
    part[a][0] = 1 - f, part[a][1] = f;
  }
  float sum[3] = {0, 0, 0}, bestWeight = 0;
  uint8_t component = 0;
  for (int corner = 0; corner < 8; ++corner) {
    int64_t index = 0;
    float weight = 1;
    for (int a = 0; a < 3; ++a) {
      const int bit = (corner >> (2 - a)) & 1;
      const int64_t at = base[a] + bit, last = c.size[a] - 1;
      index = index * c.size[a] + (at < last ? at : last);
      weight *= part[a][bit];
    }
    for (int k = 0; k < 3; ++k) sum[k] += weight * logit(index * 3 + k);
    const uint8_t here = mass(index);
    if (here && here <= c.capacity && weight > bestWeight) bestWeight = weight, component = here;
  }
  if (sum[2] > sum[1] && sum[2] > sum[0])
    return component ? static_cast<uint8_t>(c.firstMass + component - 1) : c.kidney;
  return sum[1] > sum[0] ? c.kidney : 0;
}

// What both crops make of a voxel: mass goes before kidney, then the first that claimed it.
RVX_PORTABLE inline uint8_t joinFindings(uint8_t before, uint8_t found) {
  return before == 0 || (before < 3 && found >= 3) ? found : before;
}

}  // namespace rvx
