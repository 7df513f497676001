// 04: instead of a padded copy of the whole volume, which goes out to memory and back, the rows that eight output rows need (three planes of ten) are packed into a
// buffer that fits the second cache. This is the shape of the library's direct kernel.
#include <algorithm>

#include "tile.h"

std::vector<float> pack(const Problem& p, const float* weight) {
  return packBlocks(weight, p.Cout, p.Cin, 27);
}

void convolve(const Problem& p, const float* x, const float* packed, float* y, int) {
  constexpr int kStrip = 8;
  const size_t row = size_t(p.W + 2) * p.Cin, plane = row * (kStrip + 2);
  Buffer rows(3 * plane);
  ptrdiff_t offset[27];
  for (int t = 0; t < 27; t++) offset[t] = t / 9 * plane + t / 3 % 3 * row + size_t(t % 3) * p.Cin;
  for (int h0 = 0; h0 < p.H; h0 += kStrip)
    for (int d = 0; d < p.D; d++) {
      const int count = std::min(kStrip, p.H - h0);
      for (int kd = 0; kd < 3; kd++)
        for (int r = 0; r < count + 2; r++) {
          const int id = d + kd - 1, ih = h0 + r - 1;
          float* to = rows.data() + kd * plane + r * row + p.Cin;
          if (id < 0 || id >= p.D || ih < 0 || ih >= p.H)
            std::memset(to, 0, sizeof(float) * p.W * p.Cin);
          else
            std::memcpy(to, x + p.voxel(id, ih, 0) * p.Cin, sizeof(float) * p.W * p.Cin);
        }
      for (int r = 0; r < count; r++)
        product(p.W, rows.data() + r * row, p.Cin, offset, 27, p.Cin, packed, p.Cout,
                y + p.voxel(d, h0 + r, 0) * p.Cout, p.Cout);
    }
}
