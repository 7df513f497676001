// Reproducible noise from integer hashes: the same bits on every backend, no state, no libm.
//
// hash: Chris Wellons' lowbias32 over a lattice point. latticeNoise: value noise, uniform values on
// the integer lattice joined by smoothstep weights; scaled to unit variance (the variance of a
// uniform value, 1/3, times (26/35)^3 for the averaging of three axes). normalNoise: sum of four
// uniform numbers (Irwin-Hall), unit variance, kurtosis 2.7, |z| <= 3.47.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

RVX_PORTABLE inline uint32_t mix(uint32_t h) {
  h ^= h >> 16;
  h *= 0x7feb352du;
  h ^= h >> 15;
  h *= 0x846ca68bu;
  h ^= h >> 16;
  return h;
}

RVX_PORTABLE inline uint32_t latticeHash(int32_t x, int32_t y, int32_t z, uint32_t seed) {
  return mix(static_cast<uint32_t>(x) * 0x8da6b343u ^ static_cast<uint32_t>(y) * 0xd8163841u ^
             static_cast<uint32_t>(z) * 0xcb1ab31fu ^ seed);
}

// Uniform in [-1, 1), 16 bits.
RVX_PORTABLE inline float latticeValue(int32_t x, int32_t y, int32_t z, uint32_t seed) {
  return static_cast<float>(static_cast<int32_t>(latticeHash(x, y, z, seed) >> 16)) *
             (2.0f / 65536) -
         1.0f;
}

RVX_PORTABLE inline int32_t floorInt(float x) {
  const auto i = static_cast<int32_t>(x);
  return i - (static_cast<float>(i) > x ? 1 : 0);
}

RVX_PORTABLE inline float smoothstep(float t) { return t * t * (3.0f - 2.0f * t); }

// Of floats, or of the vectors of the CPU's loops.
template <class A, class T>
RVX_PORTABLE inline auto lerp(A a, A b, T t) {
  return a + (b - a) * t;
}

// The noise between eight lattice values, named by their steps along x, y, z. T, S: float, or vectors of the CPU's loops.
template <class T, class S>
RVX_PORTABLE inline auto latticeJoin(float v000, float v100, float v010, float v110, float v001,
                                     float v101, float v011, float v111, T u, S v, S w) {
  const T a = lerp(v000, v100, u), b = lerp(v010, v110, u), c = lerp(v001, v101, u),
          d = lerp(v011, v111, u);
  return 2.7051f * lerp(lerp(a, b, v), lerp(c, d, v), w);
}

// Smooth noise with features of about one unit, mean 0, variance 1, |value| <= 2.71.
RVX_PORTABLE inline float latticeNoise(float x, float y, float z, uint32_t seed) {
  const int32_t i = floorInt(x), j = floorInt(y), k = floorInt(z);
  const float u = smoothstep(x - static_cast<float>(i)), v = smoothstep(y - static_cast<float>(j)),
              w = smoothstep(z - static_cast<float>(k));
  return latticeJoin(latticeValue(i, j, k, seed), latticeValue(i + 1, j, k, seed),
                     latticeValue(i, j + 1, k, seed), latticeValue(i + 1, j + 1, k, seed),
                     latticeValue(i, j, k + 1, seed), latticeValue(i + 1, j, k + 1, seed),
                     latticeValue(i, j + 1, k + 1, seed), latticeValue(i + 1, j + 1, k + 1, seed),
                     u, v, w);
}

// White noise of element `index`: mean 0, variance 1.
RVX_PORTABLE inline float normalNoise(uint32_t index, uint32_t seed) {
  const uint32_t a = mix(index ^ seed), b = mix(a + 0x9e3779b9u);
  const auto sum = static_cast<int32_t>((a & 0xffffu) + (a >> 16) + (b & 0xffffu) + (b >> 16));
  // Four times uniform on 0..65535: mean 131070, variance 4 * 65536^2 / 12.
  return static_cast<float>(sum - 131070) * (1.7320508f / 65536.0f);
}

}  // namespace rvx
