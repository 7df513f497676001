// F(4,3) and F(2,3) in one dimension (Lavin and Gray 2015, arXiv:1509.09308): 4 outputs of a 3-tap filter with 6 multiplications instead of 12, 2 with 4
// instead of 6. y = At [(G g) * (Bt x)]; Bt and At below on vectors of channels, G in double, since it is made once.
#pragma once
#include "ladder.h"

// Points 0, 1, -1, 2, -2 and infinity.
inline void input6(const Vec (&x)[6], Vec (&u)[6]) {
  const Vec four = fill(4), five = fill(5), two = fill(2);
  u[0] = four * x[0] - five * x[2] + x[4];
  const Vec even = x[4] - four * x[2], odd = x[3] - four * x[1];
  u[1] = even + odd;
  u[2] = even - odd;
  const Vec even2 = x[4] - x[2], odd2 = two * (x[3] - x[1]);
  u[3] = even2 + odd2;
  u[4] = even2 - odd2;
  u[5] = four * x[1] - five * x[3] + x[5];
}
inline void output4(const Vec (&m)[6], Vec (&y)[4]) {
  const Vec s1 = m[1] + m[2], d1 = m[1] - m[2], s2 = m[3] + m[4], d2 = m[3] - m[4];
  y[0] = m[0] + s1 + s2;
  y[1] = d1 + fill(2) * d2;
  y[2] = s1 + fill(4) * s2;
  y[3] = d1 + fill(8) * d2 + m[5];
}
inline void filter6(const double (&g)[3], double (&u)[6]) {
  u[0] = g[0] / 4;
  u[1] = -(g[0] + g[1] + g[2]) / 6;
  u[2] = -(g[0] - g[1] + g[2]) / 6;
  u[3] = g[0] / 24 + g[1] / 12 + g[2] / 6;
  u[4] = g[0] / 24 - g[1] / 12 + g[2] / 6;
  u[5] = g[2];
}

// Points 0, 1, -1 and infinity.
inline void input4(const Vec (&x)[4], Vec (&u)[4]) {
  u[0] = x[0] - x[2];
  u[1] = x[1] + x[2];
  u[2] = x[2] - x[1];
  u[3] = x[1] - x[3];
}
inline void output2(const Vec (&m)[4], Vec (&y)[2]) {
  y[0] = m[0] + m[1] + m[2];
  y[1] = m[1] - m[2] - m[3];
}
inline void filter4(const double (&g)[3], double (&u)[4]) {
  u[0] = g[0];
  u[1] = (g[0] + g[1] + g[2]) / 2;
  u[2] = (g[0] - g[1] + g[2]) / 2;
  u[3] = g[2];
}
