// weightedRows: eight registers of sums stay in place while the taps pass, so that each value is read
// once and written once.
#include "cpu/isa/blur.h"

namespace rvx::cpu::RVX_ISA {

void weightedRows(const float* const* rows, const float* weight, int64_t taps, int64_t count,
                  float* y) {
  constexpr int64_t kBlock = 8 * RVX_ISA_LANES;
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    float sum[kBlock];
    for (int64_t j = 0; j < kBlock; ++j) sum[j] = weight[0] * rows[0][i + j];
    for (int64_t t = 1; t < taps; ++t) {
      const float w = weight[t];
      const float* row = rows[t] + i;
      for (int64_t j = 0; j < kBlock; ++j) sum[j] += w * row[j];
    }
    for (int64_t j = 0; j < kBlock; ++j) y[i + j] = sum[j];
  }
  for (; i < count; ++i) {
    float sum = weight[0] * rows[0][i];
    for (int64_t t = 1; t < taps; ++t) sum += weight[t] * rows[t][i];
    y[i] = sum;
  }
}

}  // namespace rvx::cpu::RVX_ISA
