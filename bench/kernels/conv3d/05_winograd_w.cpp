// 05: F(4,3) along W: six products a tile of four voxels where there were twelve. A ring of three transformed planes, [row][point][tile][Cin]; for each row and point
// one product over the nine taps that are left (kd, kh), then back. Half of the multiplications are gone; the ring is larger than the second cache.
#include "tile.h"
#include "winograd.h"

std::vector<float> pack(const Problem& p, const float* weight) {
  // [point] of [Cout / 32][kd, kh][Cin][32].
  std::vector<float> all;
  for (int point = 0; point < 6; point++) {
    std::vector<float> one(size_t(p.Cout) * p.Cin * 9);
    for (size_t i = 0; i < one.size(); i++) {
      const double g[3] = {weight[i * 3], weight[i * 3 + 1], weight[i * 3 + 2]};
      double u[6];
      filter6(g, u);
      one[i] = float(u[point]);
    }
    appendBlocks(all, one, p, 9);
  }
  return all;
}

void convolve(const Problem& p, const float* x, const float* packed, float* y, int) {
  const int tiles = p.W / 4;
  const size_t points = size_t(tiles) * p.Cin, row = 6 * points, plane = (p.H + 2) * row;
  Buffer ring(3 * plane), product6(6 * size_t(tiles) * p.Cout);
  const auto transform = [&](int d) {
    float* to = ring.data() + (d + 3) % 3 * plane;
    if (d < 0 || d >= p.D) return void(std::memset(to, 0, sizeof(float) * plane));
    for (int h = 0; h < p.H; h++)
      for (int tile = 0; tile < tiles; tile++)
        for (int c = 0; c < p.Cin; c += kLanes) {
          Vec in[6], u[6];
          for (int i = 0; i < 6; i++) {
            const int w = tile * 4 + i - 1;
            in[i] = w < 0 || w >= p.W ? Vec{} : load(x + p.voxel(d, h, w) * p.Cin + c);
          }
          input6(in, u);
          for (int i = 0; i < 6; i++)
            store(to + (h + 1) * row + i * points + size_t(tile) * p.Cin + c, u[i]);
        }
  };
  transform(-1);
  transform(0);
  for (int d = 0; d < p.D; d++) {
    transform(d + 1);
    ptrdiff_t offset[9];
    for (int t = 0; t < 9; t++) offset[t] = (d + t / 3 + 2) % 3 * plane + t % 3 * row;
    for (int h = 0; h < p.H; h++) {
      for (int i = 0; i < 6; i++)
        product(tiles, ring.data() + h * row + i * points, p.Cin, offset, 9, p.Cin,
                packed + i * size_t(p.Cout) * p.Cin * 9, p.Cout,
                product6.data() + i * size_t(tiles) * p.Cout, p.Cout);
      for (int tile = 0; tile < tiles; tile++)
        for (int o = 0; o < p.Cout; o += kLanes) {
          Vec m[6], out[4];
          for (int i = 0; i < 6; i++)
            m[i] = load(product6.data() + (i * size_t(tiles) + tile) * p.Cout + o);
          output4(m, out);
          for (int i = 0; i < 4; i++) store(y + p.voxel(d, h, tile * 4 + i) * p.Cout + o, out[i]);
        }
    }
  }
}
