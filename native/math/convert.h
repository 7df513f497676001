// Conversion of one value between the element types of tensors: round to nearest even, integers
// saturate, NaN becomes integer 0.
#pragma once
#include "math/half.h"

namespace rvx {

// The 16-bit floats as types of their own.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

// The nearest integer of int32's range: adding 1.5 * 2^52 rounds, the integer stands in the low bits.
RVX_PORTABLE inline int32_t nearestInteger(double x) {
  x = x != x ? 0.0 : x;
  x = x < -2147483648.0 ? -2147483648.0 : x;
  x = x > 2147483647.0 ? 2147483647.0 : x;
  const double shifted = x + 6755399441055744.0;
  uint64_t bits;
  memcpy(&bits, &shifted, sizeof bits);
  return static_cast<int32_t>(static_cast<uint32_t>(bits));
}

// x as a float whose last bit is set where x lies between two floats ("round to odd"): rounding it
// further to 16 bits gives what rounding x at once would.
RVX_PORTABLE inline float oddFloat(double x) {
  const auto f = static_cast<float>(x);
  const double back = static_cast<double>(f);
  if (back == x || x != x || back - back != 0) return f;
  const uint32_t bits = toBits(f);
  const bool tooLarge = (back < 0 ? -back : back) > (x < 0 ? -x : x);
  return fromBits((tooLarge ? bits - 1 : bits) | 1u);
}

// What arithmetic sees of a stored value: float, double or int32.
RVX_PORTABLE inline float load(float x) { return x; }
RVX_PORTABLE inline double load(double x) { return x; }
RVX_PORTABLE inline float load(Bf16 x) { return fromBf16(x.bits); }
RVX_PORTABLE inline float load(F16 x) { return fromF16(x.bits); }
RVX_PORTABLE inline int32_t load(uint8_t x) { return x; }
RVX_PORTABLE inline int32_t load(int16_t x) { return x; }
RVX_PORTABLE inline int32_t load(int32_t x) { return x; }

RVX_PORTABLE inline float narrowable(float x) { return x; }
RVX_PORTABLE inline float narrowable(double x) { return oddFloat(x); }
RVX_PORTABLE inline float narrowable(int32_t x) { return oddFloat(x); }

RVX_PORTABLE inline int32_t integer(int32_t x) { return x; }
RVX_PORTABLE inline int32_t integer(double x) { return nearestInteger(x); }
RVX_PORTABLE inline int32_t integer(float x) { return nearestInteger(static_cast<double>(x)); }

RVX_PORTABLE inline int32_t clampTo(int32_t x, int32_t least, int32_t most) {
  return x < least ? least : x > most ? most : x;
}

template <class T>
RVX_PORTABLE inline void store(T x, float* to) {
  *to = static_cast<float>(x);
}
template <class T>
RVX_PORTABLE inline void store(T x, double* to) {
  *to = static_cast<double>(x);
}
template <class T>
RVX_PORTABLE inline void store(T x, Bf16* to) {
  to->bits = toBf16(narrowable(x));
}
template <class T>
RVX_PORTABLE inline void store(T x, F16* to) {
  to->bits = toF16(narrowable(x));
}
template <class T>
RVX_PORTABLE inline void store(T x, int32_t* to) {
  *to = integer(x);
}
template <class T>
RVX_PORTABLE inline void store(T x, int16_t* to) {
  *to = static_cast<int16_t>(clampTo(integer(x), -32768, 32767));
}
template <class T>
RVX_PORTABLE inline void store(T x, uint8_t* to) {
  *to = static_cast<uint8_t>(clampTo(integer(x), 0, 255));
}

}  // namespace rvx
