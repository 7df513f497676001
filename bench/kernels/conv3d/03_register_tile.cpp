// 03: sums stay in registers. The input is copied once with a border of zeros, so that no tap is a special case, and rows of voxels go through tile.h: each weight that
// is loaded serves all voxels of a tile, and nothing is stored before it is whole.
#include "tile.h"

std::vector<float> pack(const Problem& p, const float* weight) {
  return packBlocks(weight, p.Cout, p.Cin, 27);
}

void convolve(const Problem& p, const float* x, const float* packed, float* y, int) {
  const size_t row = size_t(p.W + 2) * p.Cin, plane = row * (p.H + 2);
  Buffer padded(plane * (p.D + 2));
  for (int d = 0; d < p.D; d++)
    for (int h = 0; h < p.H; h++)
      std::memcpy(padded.data() + (d + 1) * plane + (h + 1) * row + p.Cin,
                  x + p.voxel(d, h, 0) * p.Cin, sizeof(float) * p.W * p.Cin);
  ptrdiff_t offset[27];
  for (int t = 0; t < 27; t++) offset[t] = t / 9 * plane + t / 3 % 3 * row + size_t(t % 3) * p.Cin;
  for (int d = 0; d < p.D; d++)
    for (int h = 0; h < p.H; h++)
      product(p.W, padded.data() + d * plane + h * row, p.Cin, offset, 27, p.Cin, packed, p.Cout,
              y + p.voxel(d, h, 0) * p.Cout, p.Cout);
}
