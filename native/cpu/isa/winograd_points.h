// One axis of the transforms of winograd.h: y = A^T [(G g) * (B^T d)] (Lavin and Gray, Fast algorithms
// for convolutional neural networks, 2015, arXiv:1509.09308), with matrices of Toom and Cook.
//
// F(4,3) with the points 0, 1, -1, 1/2, -2, infinity; the usual 0, +-1, +-2 err half as much again.
//
//   B^T =  1 -3/2  -2  3/2   1   0     G =      1      0      0     A^T = 1  1  1   1   1  0
//          0   -1 1/2  5/2   1   0            1/3    1/3    1/3           0  1 -1 1/2  -2  0
//          0    1 -5/2 1/2   1   0           -1/3    1/3   -1/3           0  1  1 1/4   4  0
//          0   -2  -1    2   1   0         -16/15  -8/15  -4/15           0  1 -1 1/8  -8  1
//          0  1/2  -1 -1/2   1   0           1/15  -2/15   4/15
//          0    1 -3/2  -2 3/2   1              0      0      1
#pragma once
#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {

// B^T d. Rows share x^2 + 3/2 x - 1 and x^2 - 1, factors of the points' polynomials.
static inline void inputPoints(const Vec d[6], Vec t[6]) {
  const Vec one5 = splat(1.5f), two = splat(2.0f);
  const Vec e0 = fma(d[1], one5, d[2] - d[0]), e1 = fma(d[2], one5, d[3] - d[1]);
  const Vec e2 = fma(d[3], one5, d[4] - d[2]), e3 = fma(d[4], one5, d[5] - d[3]);
  const Vec f1 = d[3] - d[1], f2 = d[4] - d[2];
  t[0] = e2 - e0;
  t[1] = e1 + e2;
  t[2] = e2 - e1;
  t[3] = fma(f1, two, f2);
  t[4] = fma(f1, splat(-0.5f), f2);
  t[5] = e3 - e1;
}

// A^T m.
static inline void outputPoints(const Vec m[6], Vec y[4]) {
  const Vec sum = m[1] + m[2], difference = m[1] - m[2];
  y[0] = (m[0] + sum) + (m[3] + m[4]);
  y[1] = fma(m[3], splat(0.5f), fma(m[4], splat(-2.0f), difference));
  y[2] = fma(m[3], splat(0.25f), fma(m[4], splat(4.0f), sum));
  y[3] = fma(m[3], splat(0.125f), fma(m[4], splat(-8.0f), difference)) + m[5];
}

// G g.
static inline void weightPoints(Vec a, Vec b, Vec c, Vec t[6]) {
  const Vec third = splat(1.0f / 3), ends = a + c;
  t[0] = a;
  t[1] = (ends + b) * third;
  t[2] = (b - ends) * third;
  t[3] = fma(c, splat(0.25f), fma(b, splat(0.5f), a)) * splat(-16.0f / 15);
  t[4] = fma(c, splat(4.0f), fma(b, splat(-2.0f), a)) * splat(1.0f / 15);
  t[5] = c;
}

// A y.
static inline void gradientPoints(const Vec y[4], Vec t[6]) {
  const Vec even = y[0] + y[2], odd = y[1] + y[3];
  t[0] = y[0];
  t[1] = even + odd;
  t[2] = even - odd;
  t[3] = fma(y[3], splat(0.125f), fma(y[2], splat(0.25f), fma(y[1], splat(0.5f), y[0])));
  t[4] = fma(y[3], splat(-8.0f), fma(y[2], splat(4.0f), fma(y[1], splat(-2.0f), y[0])));
  t[5] = y[3];
}

// G^T m.
static inline void weightTaps(const Vec m[6], Vec g[3]) {
  const Vec third = splat(1.0f / 3), sum = m[1] + m[2], difference = (m[1] - m[2]) * third;
  const Vec half = m[3] * splat(-16.0f / 15), two = m[4] * splat(1.0f / 15);
  g[0] = (m[0] + difference) + (half + two);
  g[1] = fma(sum, third, fma(half, splat(0.5f), two * splat(-2.0f)));
  g[2] = (difference + m[5]) + fma(half, splat(0.25f), two * splat(4.0f));
}

}  // namespace rvx::RVX_ISA
