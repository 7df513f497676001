// W(2,4,4) of one strip of four output rows: F(2,3) along D on top of 06, 144 products a tile of 2x4x4 voxels where there were 864. Two output planes at a time need a ring
// of four transformed planes; at each of the 36 points they go along D into four, through four products, and back into two.
#pragma once
#include "winograd_plane.h"

inline std::vector<float> packStrips(const Problem& p, const float* weight) {
  // [point][q] of [Cout / 32][Cin][32].
  const auto u = planeWeights(p, weight);
  const size_t pairs = size_t(p.Cout) * p.Cin;
  std::vector<float> all, one(pairs);
  for (int point = 0; point < 36; point++)
    for (int q = 0; q < 4; q++) {
      for (size_t i = 0; i < pairs; i++) {
        const double g[3] = {u[(i * 3) * 36 + point], u[(i * 3 + 1) * 36 + point],
                             u[(i * 3 + 2) * 36 + point]};
        double f[4];
        filter4(g, f);
        one[i] = float(f[q]);
      }
      appendBlocks(all, one, p, 1);
    }
  return all;
}

inline void convolveStrip(const Problem& p, const float* x, const float* packed, float* y, int h0) {
  const int tiles = p.W / 4;
  const size_t in = pointStride(tiles, p.Cin), out = pointStride(tiles, p.Cout);
  const size_t flatIn = size_t(tiles) * p.Cin, flatOut = size_t(tiles) * p.Cout;
  Buffer ring(4 * 36 * in), m(2 * 36 * out), v(4 * flatIn), q(4 * flatOut);
  const auto plane = [&](int d) { return ring.data() + (d + 4) % 4 * 36 * in; };
  const ptrdiff_t none[1] = {0};
  transformPlane(p, x, -1, h0, plane(-1));
  transformPlane(p, x, 0, h0, plane(0));
  for (int d = 0; d < p.D; d += 2) {
    transformPlane(p, x, d + 1, h0, plane(d + 1));
    transformPlane(p, x, d + 2, h0, plane(d + 2));
    const float* planes[4] = {plane(d - 1), plane(d), plane(d + 1), plane(d + 2)};
    for (int point = 0; point < 36; point++) {
      for (size_t i = 0; i < flatIn; i += kLanes) {
        Vec a[4], u[4];
        for (int k = 0; k < 4; k++) a[k] = load(planes[k] + point * in + i);
        input4(a, u);
        for (int k = 0; k < 4; k++) store(v.data() + k * flatIn + i, u[k]);
      }
      for (int k = 0; k < 4; k++)
        product(tiles, v.data() + k * flatIn, p.Cin, none, 1, p.Cin,
                packed + (point * 4 + k) * size_t(p.Cout) * p.Cin, p.Cout, q.data() + k * flatOut,
                p.Cout);
      for (size_t i = 0; i < flatOut; i += kLanes) {
        Vec a[4], b[2];
        for (int k = 0; k < 4; k++) a[k] = load(q.data() + k * flatOut + i);
        output2(a, b);
        for (int k = 0; k < 2; k++) store(m.data() + (k * 36 + point) * out + i, b[k]);
      }
    }
    for (int k = 0; k < 2 && d + k < p.D; k++)
      outputPlane(p, m.data() + k * 36 * out, d + k, h0, y);
  }
}
