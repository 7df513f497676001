// 01: the definition, loop by loop. One sum at a time: each multiply-add waits for the one before it, four cycles or so, and weights are read 27 floats apart.
#include "ladder.h"

std::vector<float> pack(const Problem& p, const float* weight) {
  return {weight, weight + size_t(27) * p.Cin * p.Cout};
}

void convolve(const Problem& p, const float* x, const float* weight, float* y, int) {
  for (int d = 0; d < p.D; d++)
    for (int h = 0; h < p.H; h++)
      for (int w = 0; w < p.W; w++)
        for (int o = 0; o < p.Cout; o++) {
          float sum = 0;
          for (int kd = 0; kd < 3; kd++)
            for (int kh = 0; kh < 3; kh++)
              for (int kw = 0; kw < 3; kw++) {
                const int id = d + kd - 1, ih = h + kh - 1, iw = w + kw - 1;
                if (id < 0 || id >= p.D || ih < 0 || ih >= p.H || iw < 0 || iw >= p.W) continue;
                const float* in = x + p.voxel(id, ih, iw) * p.Cin;
                const float* k = weight + size_t(o) * p.Cin * 27 + (kd * 3 + kh) * 3 + kw;
                for (int c = 0; c < p.Cin; c++) sum += in[c] * k[c * 27];
              }
          y[p.voxel(d, h, w) * p.Cout + o] = sum;
        }
}
