// exp and log of floats without branches, so that compilers vectorise loops over them, and with the
// same bits on every backend. Polynomials of S. L. Moshier's Cephes library (expf, logf); relative
// error below 2e-7.
#pragma once
#include <cstdint>
#include <cstring>

#include "math/portable.h"

namespace rvx {

RVX_PORTABLE inline float fromBits(uint32_t bits) {
  float f;
  memcpy(&f, &bits, sizeof f);
  return f;
}
RVX_PORTABLE inline uint32_t toBits(float f) {
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  return bits;
}

// exp(x) for x from -87 to 88; clamped outside; NaN stays NaN.
RVX_PORTABLE inline float exponential(float x) {
  x = x < -87.0f ? -87.0f : x;
  x = x > 88.0f ? 88.0f : x;
  // Adding 1.5 * 2^23 rounds to an integer, which then stands in the low bits.
  const float shifted = x * 1.44269504f + 12582912.0f;
  const float n = shifted - 12582912.0f;
  const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  float p = 1.9875691500e-4f;
  p = p * r + 1.3981999507e-3f;
  p = p * r + 8.3334519073e-3f;
  p = p * r + 4.1665795894e-2f;
  p = p * r + 1.6666665459e-1f;
  p = p * r + 5.0000001201e-1f;
  p = p * (r * r) + r + 1.0f;
  return p * fromBits((toBits(shifted) - 0x4B400000u + 127u) << 23);
}

// log(x) for normal positive x; NaN stays NaN.
RVX_PORTABLE inline float logarithm(float x) {
  // The exponent such that the mantissa lies in sqrt(1/2)..sqrt(2).
  const uint32_t bits = toBits(x) - 0x3F3504F3u;
  const auto e = static_cast<float>(static_cast<int32_t>(bits) >> 23);
  const float m = fromBits((bits & 0x007FFFFFu) + 0x3F3504F3u) - 1.0f;
  float p = 7.0376836292e-2f;
  p = p * m - 1.1514610310e-1f;
  p = p * m + 1.1676998740e-1f;
  p = p * m - 1.2420140846e-1f;
  p = p * m + 1.4249322787e-1f;
  p = p * m - 1.6668057665e-1f;
  p = p * m + 2.0000714765e-1f;
  p = p * m - 2.4999993993e-1f;
  p = p * m + 3.3333331174e-1f;
  const float z = m * m;
  const float y = (p * m * z - e * 2.12194440e-4f) - 0.5f * z;
  return x != x ? x : m + y + e * 0.693359375f;
}

}  // namespace rvx
