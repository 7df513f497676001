// Maxima of windows, once for all backends.
#pragma once
#include "math/convert.h"
#include "math/portable.h"

namespace rvx {

// The first of equal values stays; a NaN is a maximum and stays.
RVX_PORTABLE inline bool replacesMaximum(float value, float best) {
  return !(value <= best) & (best == best);
}

// IEEE 754's maximum: a NaN wins, +0 is above -0. Any order of the values gives the same bits.
RVX_PORTABLE inline float maximum(float a, float b) {
  if (a > b) return a;
  if (b > a) return b;
  return a == b ? fromBits(toBits(a) & toBits(b)) : fromBits(0x7fc00000u);
}

// Pooling of raw values, before a norm and a monotone activation: the greatest activation of a window is that of its largest value, or of
// its smallest where the norm's scale is negative. That is the maximum of the values, their signs flipped before and after.
RVX_PORTABLE inline uint32_t poolFlip(float sign) { return sign < 0 ? 0x80000000u : 0u; }
RVX_PORTABLE inline float flipped(float value, uint32_t flip) {
  return fromBits(toBits(value) ^ flip);
}

}  // namespace rvx
