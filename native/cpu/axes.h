// Geometry of resampling on the CPU: affines taken apart by axis, tables of taps, ranges of outputs
// that can see a range of inputs, permutation of axes.
#pragma once
#include <vector>

#include "ops/sampling.h"

namespace rvx::cpu {

// The affine of sample n: the attribute, or the sample's row of the tensor. Throws InvalidArgument
// where a number is not finite or beyond 1e9.
Affine affineOf(const OptionalInput& map, const Affine& attribute, int64_t n);

// An affine without rotation or shear: input axis a at scale[a] * (index along output axis order[a])
// + shift[a].
struct AxisMap {
  std::array<int, 3> order{0, 1, 2};
  Real3 scale{1, 1, 1}, shift{0, 0, 0};
  bool identityOrder() const { return order == std::array<int, 3>{0, 1, 2}; }
};

// Whether `affine` is such a map on outputs of this size, to 1e-6 voxel.
bool isAxisMap(const Affine& affine, const Int3& size, AxisMap* map);

// One axis: out[o] = sum over k < count[o] of weight[offset[o] + k] * in[first[o] + k], plus (1 -
// inside[o]) * fill. Linear interpolation, or the average over [p - s/2, p + s/2] where `box` is set
// and s = |scale| > 1; p = scale * o + shift.
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
void narrowRange(double base, double step, double low, double high, int64_t& from, int64_t& to);

// Axis a of `to` is axis order[a] of `from`; `size` is that of `to`, an element has `bytes` bytes.
void permuteAxes(const void* from, void* to, const Int3& size, const std::array<int, 3>& order,
                 size_t bytes);

}  // namespace rvx::cpu
