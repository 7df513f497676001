// 07: W(2,4,4), a sixth of the multiplications (winograd_strip.h). This is the shape of the library's Winograd kernel at the large levels.
#include "winograd_strip.h"

std::vector<float> pack(const Problem& p, const float* weight) { return packStrips(p, weight); }

void convolve(const Problem& p, const float* x, const float* packed, float* y, int) {
  for (int h0 = 0; h0 < p.H; h0 += 4) convolveStrip(p, x, packed, y, h0);
}
