// bf16 and f16 as their 16-bit patterns, to and from float, rounding to nearest even, without
// branches. f16 keeps subnormals and becomes infinite from 65520 on; NaN stays NaN.
#pragma once
#include "math/exponential.h"
#include "math/portable.h"

namespace rvx {

RVX_PORTABLE inline float fromBf16(uint16_t h) { return fromBits(static_cast<uint32_t>(h) << 16); }

RVX_PORTABLE inline uint16_t toBf16(float f) {
  const uint32_t bits = toBits(f);
  const uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  // Rounding could carry a NaN's mantissa away.
  return static_cast<uint16_t>(f != f ? (bits >> 16) | 0x40u : rounded);
}

RVX_PORTABLE inline float fromF16(uint16_t h) {
  const uint32_t magnitude = h & 0x7FFFu, rebias = 112u << 23;
  const uint32_t normal = (magnitude << 13) + rebias + (magnitude >= 0x7C00u ? rebias : 0u);
  const float subnormal = static_cast<float>(static_cast<int32_t>(magnitude)) * 0x1p-24f;
  const uint32_t bits = magnitude < 0x0400u ? toBits(subnormal) : normal;
  return fromBits(bits | (static_cast<uint32_t>(h & 0x8000u) << 16));
}

RVX_PORTABLE inline uint16_t toF16(float f) {
  const uint32_t bits = toBits(f), magnitude = bits & 0x7FFFFFFFu;
  const uint32_t rebiased = magnitude - (112u << 23);
  const uint32_t normal = (rebiased + 0x0FFFu + ((rebiased >> 13) & 1u)) >> 13;
  // Adding 1/2 rounds to multiples of 2^-24, the subnormals' step, which then stand in the low bits.
  const uint32_t subnormal = toBits(fromBits(magnitude) + 0.5f) - 0x3F000000u;
  uint32_t half = magnitude < 0x38800000u ? subnormal : normal;
  half = magnitude >= 0x47800000u ? 0x7C00u : half;
  half = magnitude > 0x7F800000u ? 0x7E00u : half;
  return static_cast<uint16_t>(half | ((bits >> 16) & 0x8000u));
}

}  // namespace rvx
