// Weight transforms of winograd.h: along D over the taps of a vector of output channels, then H, then W.
#include "cpu/isa/winograd.h"
#include "cpu/isa/winograd_points.h"

namespace rvx::RVX_ISA {

void winogradWeight(const WinogradWeight& j) {
  for (int64_t ci = 0; ci < j.padded; ++ci) {
    Vec taps[kWinogradDepth][9] = {};
    for (int k = 0; k < 9 && ci < j.channels; ++k) {
      const float* w = j.taps + (ci * 27 + k) * kLanes;
      const Vec a = load(w), b = load(w + 9 * kLanes), c = load(w + 18 * kLanes);
      const Vec half = splat(0.5f), ends = a + c;
      taps[0][k] = a;
      taps[1][k] = (ends + b) * half;
      taps[2][k] = (ends - b) * half;
      taps[3][k] = c;
    }
    for (int q = 0; q < kWinogradDepth; ++q) {
      Vec rows[3][6];
      for (int w = 0; w < 3; ++w) weightPoints(taps[q][w], taps[q][3 + w], taps[q][6 + w], rows[w]);
      for (int h = 0; h < 6; ++h) {
        Vec t[6];
        weightPoints(rows[0][h], rows[1][h], rows[2][h], t);
        float* to = j.to + 6 * h * j.pointStride + q * j.depthStride + ci * j.step;
        for (int w = 0; w < 6; ++w) store(to + w * j.pointStride, t[w]);
      }
    }
  }
}

}  // namespace rvx::RVX_ISA
