// One axis of the transforms of winograd_stem.h, for 4 to 7 points: F(4, 1) to F(4, 4) of Toom and Cook
// with the first of the points 0, 1, -1, 1/2, -2, -1/2 and infinity. Row a of the input's matrix holds
// the coefficients of the product of all x - b with b another point; the rows share factors. The
// weight's matrix (cpu/winograd_stem_weights.cpp) has what that leaves.
//
// As the seventh, -1/2 errs least of ten that were tried (docs/cpu-convolution.md).
#pragma once
#include "cpu/isa/winograd_points.h"

namespace rvx::RVX_ISA {

template <int N>
static inline void stemInputPoints(const Vec* d, Vec* t) {
  const Vec half = splat(0.5f), minusHalf = splat(-0.5f);
  if constexpr (N == 4) {
    t[0] = d[2] - d[0];
    t[1] = d[1] + d[2];
    t[2] = d[2] - d[1];
    t[3] = d[3] - d[1];
  } else if constexpr (N == 5) {
    // x^2 - 1 and x - 1/2.
    const Vec e0 = d[2] - d[0], e1 = d[3] - d[1], e2 = d[4] - d[2];
    const Vec u1 = fma(d[1], minusHalf, d[2]), u2 = fma(d[2], minusHalf, d[3]);
    t[0] = fma(e0, minusHalf, e1);
    t[1] = u1 + u2;
    t[2] = u2 - u1;
    t[3] = e1;
    t[4] = fma(e1, minusHalf, e2);
  } else if constexpr (N == 6) {
    inputPoints(d, t);
  } else {
    // (x^2 - 1)(x^2 - 1/4), x + 2, and that times x^2 - 1/4 and x^2 - 1.
    const Vec two = splat(2.0f), quarter = splat(0.25f), minusQuarter = splat(-0.25f);
    const Vec five4 = splat(-1.25f);
    const Vec e0 = fma(d[0], quarter, fma(d[2], five4, d[4]));
    const Vec e1 = fma(d[1], quarter, fma(d[3], five4, d[5]));
    const Vec e2 = fma(d[2], quarter, fma(d[4], five4, d[6]));
    const Vec u1 = fma(d[1], two, d[2]), u2 = fma(d[2], two, d[3]);
    const Vec u3 = fma(d[3], two, d[4]), u4 = fma(d[4], two, d[5]);
    const Vec f1 = fma(u1, minusQuarter, u3), f2 = fma(u2, minusQuarter, u4);
    const Vec g1 = u3 - u1, g2 = u4 - u2;
    t[0] = fma(e0, two, e1);
    t[1] = f1 + f2;
    t[2] = f2 - f1;
    t[3] = fma(g1, half, g2);
    t[4] = e1;
    t[5] = fma(g1, minusHalf, g2);
    t[6] = fma(e1, two, e2);
  }
}

template <int N>
static inline void stemOutputPoints(const Vec* m, Vec* y) {
  const Vec half = splat(0.5f), quarter = splat(0.25f), eighth = splat(0.125f);
  const Vec sum = m[1] + m[2], difference = m[1] - m[2];
  if constexpr (N == 4) {
    y[0] = m[0] + sum;
    y[1] = difference;
    y[2] = sum;
    y[3] = difference + m[3];
  } else if constexpr (N == 5) {
    y[0] = (m[0] + sum) + m[3];
    y[1] = fma(m[3], half, difference);
    y[2] = fma(m[3], quarter, sum);
    y[3] = fma(m[3], eighth, difference) + m[4];
  } else if constexpr (N == 6) {
    outputPoints(m, y);
  } else {
    const Vec sum2 = m[3] + m[5], difference2 = m[3] - m[5];
    y[0] = (m[0] + sum) + (sum2 + m[4]);
    y[1] = fma(difference2, half, fma(m[4], splat(-2.0f), difference));
    y[2] = fma(sum2, quarter, fma(m[4], splat(4.0f), sum));
    y[3] = fma(difference2, eighth, fma(m[4], splat(-8.0f), difference)) + m[6];
  }
}

}  // namespace rvx::RVX_ISA
