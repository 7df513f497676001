#include "cpu/isa/sampling.h"

namespace rvx::cpu::RVX_ISA {

// As weightedRows of blur.cpp, with the window between load and multiplication.
template <class T>
void windowedRows(const T* const* rows, const float* weight, int64_t taps, int64_t count,
                  const Window& window, float* y) {
  const Window v = window;
  constexpr int64_t kBlock = 4 * RVX_ISA_LANES;
  int64_t i = 0;
  for (; i + kBlock <= count; i += kBlock) {
    float sum[kBlock] = {};
    for (int64_t t = 0; t < taps; ++t) {
      const float w = weight[t];
      const T* row = rows[t] + i;
      for (int64_t j = 0; j < kBlock; ++j) sum[j] += w * applyWindow(static_cast<float>(row[j]), v);
    }
    for (int64_t j = 0; j < kBlock; ++j) y[i + j] = sum[j];
  }
  for (; i < count; ++i) {
    float sum = 0;
    for (int64_t t = 0; t < taps; ++t)
      sum += weight[t] * applyWindow(static_cast<float>(rows[t][i]), v);
    y[i] = sum;
  }
}

template void windowedRows<float>(const float* const*, const float*, int64_t, int64_t,
                                  const Window&, float*);
template void windowedRows<int16_t>(const int16_t* const*, const float*, int64_t, int64_t,
                                    const Window&, float*);
template void windowedRows<int32_t>(const int32_t* const*, const float*, int64_t, int64_t,
                                    const Window&, float*);
template void windowedRows<uint8_t>(const uint8_t* const*, const float*, int64_t, int64_t,
                                    const Window&, float*);

void mixPairs(const float* x, const int32_t* first, const float* weight, int64_t count, float* y) {
  for (int64_t o = 0; o < count; ++o) {
    const float* pair = x + first[o];
    y[o] = weight[2 * o] * pair[0] + weight[2 * o + 1] * pair[1];
  }
}

}  // namespace rvx::cpu::RVX_ISA
