// 06: F(4,3) along H and W: 36 products a tile of 16 voxels where there were 144. A strip of four rows walks along D with a ring of three transformed planes, which
// fits the second cache; at each point the three taps along D are summed by the product itself.
#include "winograd_plane.h"

std::vector<float> pack(const Problem& p, const float* weight) {
  // [point] of [Cout / 32][kd][Cin][32].
  const auto u = planeWeights(p, weight);
  std::vector<float> all, one(size_t(p.Cout) * p.Cin * 3);
  for (int point = 0; point < 36; point++) {
    for (size_t i = 0; i < one.size(); i++) one[i] = float(u[i * 36 + point]);
    appendBlocks(all, one, p, 3);
  }
  return all;
}

void convolve(const Problem& p, const float* x, const float* packed, float* y, int) {
  const int tiles = p.W / 4;
  const size_t in = pointStride(tiles, p.Cin), out = pointStride(tiles, p.Cout);
  Buffer ring(3 * 36 * in), m(36 * out);
  for (int h0 = 0; h0 < p.H; h0 += 4) {
    const auto plane = [&](int d) { return ring.data() + (d + 3) % 3 * 36 * in; };
    transformPlane(p, x, -1, h0, plane(-1));
    transformPlane(p, x, 0, h0, plane(0));
    for (int d = 0; d < p.D; d++) {
      transformPlane(p, x, d + 1, h0, plane(d + 1));
      ptrdiff_t offset[3];
      for (int kd = 0; kd < 3; kd++) offset[kd] = plane(d + kd - 1) - ring.data();
      for (int point = 0; point < 36; point++)
        product(tiles, ring.data() + point * in, p.Cin, offset, 3, p.Cin,
                packed + point * size_t(p.Cout) * p.Cin * 3, p.Cout, m.data() + point * out,
                p.Cout);
      outputPlane(p, m.data(), d, h0, y);
    }
  }
}
