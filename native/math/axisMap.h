// Resampling taken apart by axis, for affines without rotation or shear: tables of taps, and the range of outputs that see a range
// of inputs. The same on every backend, so that their sums have the same weights in the same order.
#pragma once
#include <array>
#include <cmath>
#include <cstdint>
#include <vector>

#include "math/portable.h"

namespace rvx {

// An affine without rotation or shear: input axis a at scale[a] * (index along output axis order[a])
// + shift[a].
struct AxisMap {
  std::array<int, 3> order{0, 1, 2};
  std::array<double, 3> scale{1, 1, 1}, shift{0, 0, 0};
  bool identityOrder() const { return order == std::array<int, 3>{0, 1, 2}; }
};

// Whether `affine` is such a map on outputs of this size, to 1e-6 voxel.
bool isAxisMap(const std::array<double, 12>& affine, const std::array<int64_t, 3>& size,
               AxisMap* map);

// One axis: out[o] = sum over k < count[o] of weight[offset[o] + k] * in[first[o] + k], plus (1 -
// inside[o]) * fill. Linear interpolation, or the average over [p - s/2, p + s/2] where `box` is set
// and s = |scale| > 1; p = scale * o + shift. Along o, `first` and `first` + `count` never turn back.
struct AxisTaps {
  std::vector<int32_t> first, count, offset;
  std::vector<float> weight, inside;
  int64_t from = 0, to = 0;  // inputs that any output reads
  // Where no output has more than two taps and the axis has two voxels, every output has exactly two
  // (weights at offset 2 o), so that a loop needs no count.
  bool pairs = false;
};
AxisTaps axisTaps(int64_t out, int64_t in, double scale, double shift, bool border, bool box);

// Narrows [from, to) to the o with low <= base + step * o <= high, widened by one for rounding.
RVX_PORTABLE inline void narrowRange(double base, double step, double low, double high,
                                     int64_t& from, int64_t& to) {
  if (step == 0) {
    if (!(base >= low && base <= high)) to = from;
    return;
  }
  const double p = (low - base) / step, q = (high - base) / step;
  const double a = floor(p > q ? q : p), b = ceil(p > q ? p : q) + 1;
  const auto first = static_cast<double>(from), end = static_cast<double>(to);
  from = static_cast<int64_t>(a < first ? first : a > end ? end : a);
  const auto least = static_cast<double>(from);
  to = static_cast<int64_t>(b < least ? least : b > end ? end : b);
}

}  // namespace rvx
