// Normal deviates from random words, by multiplications, additions and one square root alone, so that
// every backend and instruction set makes the same bits.
//
// Box-Muller: r = sqrt(-2 ln u), a pair r cos(2 pi v), r sin(2 pi v). u has 31 bits and is at least
// 2^-32, which bounds |deviate| by 6.66. Polynomials: S. L. Moshier, Cephes (logf, sinf, cosf); the
// error against exact arithmetic is below 5e-7 absolute.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "math/portable.h"

namespace rvx {

struct NormalPair {
  float first, second;
};

// ln u for normal u in (0, 1].
RVX_PORTABLE inline float logOfUnit(float u) {
  int32_t bits;
  std::memcpy(&bits, &u, sizeof bits);
  // u = m * 2^e with m in [sqrt(1/2), sqrt(2)).
  const int32_t shifted = bits - 0x3f3504f3;
  const int32_t e = shifted >> 23;
  bits -= e * (1 << 23);
  float m;
  std::memcpy(&m, &bits, sizeof m);
  const float x = m - 1.0f, z = x * x;
  float p = 7.0376836292e-2f;
  p = p * x - 1.1514610310e-1f;
  p = p * x + 1.1676998740e-1f;
  p = p * x - 1.2420140846e-1f;
  p = p * x + 1.4249322787e-1f;
  p = p * x - 1.6668057665e-1f;
  p = p * x + 2.0000714765e-1f;
  p = p * x - 2.4999993993e-1f;
  p = p * x + 3.3333331174e-1f;
  const float k = static_cast<float>(e);
  const float y = x * z * p + k * -2.12194440e-4f - 0.5f * z;
  return x + y + k * 0.693359375f;
}

RVX_PORTABLE inline NormalPair normalPair(uint32_t a, uint32_t b) {
  const float u = static_cast<float>(static_cast<int32_t>(a >> 1)) * (1.0f / 2147483648.0f) +
                  1.0f / 4294967296.0f;
  const float square = -2.0f * logOfUnit(u);
  const float r = std::sqrt(square > 0.0f ? square : 0.0f);
  // 2 pi v = quarter * pi/2 + angle with |angle| <= pi/4; v has 24 bits.
  const auto turn = static_cast<int32_t>(b >> 8);
  const int32_t quarter = (turn + (1 << 21)) >> 22;
  const float angle =
      static_cast<float>(turn - quarter * (1 << 22)) * (1.57079632679489662f / 4194304.0f);
  const float z = angle * angle;
  const float sine =
      ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * angle + angle;
  const float cosine =
      ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
      0.5f * z + 1.0f;
  const bool swap = (quarter & 1) != 0;
  const float c = swap ? sine : cosine, s = swap ? cosine : sine;
  const bool minusC = ((quarter + 1) & 2) != 0, minusS = (quarter & 2) != 0;
  return {r * (minusC ? -c : c), r * (minusS ? -s : s)};
}

}  // namespace rvx
