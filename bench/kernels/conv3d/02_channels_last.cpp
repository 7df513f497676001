// 02: weights laid out [tap][Cin][Cout] and the loop over output channels innermost. Its sums are independent and lie side by side, so the compiler makes vectors of
// them; but every multiply-add loads and stores its sum.
#include "ladder.h"

std::vector<float> pack(const Problem& p, const float* weight) {
  std::vector<float> packed(size_t(27) * p.Cin * p.Cout);
  for (int o = 0; o < p.Cout; o++)
    for (int c = 0; c < p.Cin; c++)
      for (int t = 0; t < 27; t++)
        packed[(size_t(t) * p.Cin + c) * p.Cout + o] = weight[(size_t(o) * p.Cin + c) * 27 + t];
  return packed;
}

void convolve(const Problem& p, const float* x, const float* packed, float* y, int) {
  for (int d = 0; d < p.D; d++)
    for (int h = 0; h < p.H; h++)
      for (int w = 0; w < p.W; w++) {
        float* __restrict sum = y + p.voxel(d, h, w) * p.Cout;
        for (int o = 0; o < p.Cout; o++) sum[o] = 0;
        for (int t = 0; t < 27; t++) {
          const int id = d + t / 9 - 1, ih = h + t / 3 % 3 - 1, iw = w + t % 3 - 1;
          if (id < 0 || id >= p.D || ih < 0 || ih >= p.H || iw < 0 || iw >= p.W) continue;
          const float* in = x + p.voxel(id, ih, iw) * p.Cin;
          const float* __restrict k = packed + size_t(t) * p.Cin * p.Cout;
          for (int c = 0; c < p.Cin; c++, k += p.Cout)
            for (int o = 0; o < p.Cout; o++) sum[o] += in[c] * k[o];
        }
      }
}
