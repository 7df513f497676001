#include "cuda/sim/mma.h"

#include <cstdint>
#include <cstring>

#include "cuda/sim/machine.h"
#include "math/half.h"

// One source for wide and narrow vectors; AddressSanitizer does not go together with the resolvers that choose at load.
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && defined(__GNUC__) && \
    !defined(__clang__)
#define RVX_CLONES __attribute__((target_clones("default", "avx2")))
#else
#define RVX_CLONES
#endif

namespace rvx::cuda::sim {

void loadMatrices(const void* const* in, void* const* out, bool transposed) {
  uint16_t value[4][8][8];
  for (int m = 0; m < 4; ++m)
    for (int row = 0; row < 8; ++row) std::memcpy(value[m][row], in[m * 8 + row], 16);
  for (int lane = 0; lane < 32; ++lane) {
    auto* r = static_cast<uint32_t*>(out[lane]);
    const int row = lane / 4, column = lane % 4 * 2;
    for (int m = 0; m < 4; ++m) {
      const uint32_t low = transposed ? value[m][column][row] : value[m][row][column];
      const uint32_t high = transposed ? value[m][column + 1][row] : value[m][row][column + 1];
      r[m] = low | (high << 16);
    }
  }
}

RVX_CLONES static void product(const float (&a)[16][16], const float (&b)[16][8],
                               float (&d)[16][8]) {
  for (int i = 0; i < 16; ++i) {
    float sum[8];
    for (int j = 0; j < 8; ++j) sum[j] = d[i][j];
    for (int k = 0; k < 16; ++k)
      for (int j = 0; j < 8; ++j) sum[j] += a[i][k] * b[k][j];
    for (int j = 0; j < 8; ++j) d[i][j] = sum[j];
  }
}

void multiplyMatrices(const void* const* in, void* const* out, bool bf16) {
  float a[16][16], b[16][8], d[16][8];
  const auto value = [bf16](uint32_t bits) {
    const auto half = static_cast<uint16_t>(bits);
    return bf16 ? fromBf16(half) : fromF16(half);
  };
  for (int lane = 0; lane < 32; ++lane) {
    const auto& operands = *static_cast<const MmaOperands*>(in[lane]);
    const auto* sums = static_cast<const float*>(out[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int i = 0; i < 4; ++i) {
      const int row = group + (i & 1) * 8, column = pair + (i >> 1) * 8;
      a[row][column] = value(operands.a[i]);
      a[row][column + 1] = value(operands.a[i] >> 16);
    }
    for (int i = 0; i < 2; ++i) {
      b[pair + i * 8][group] = value(operands.b[i]);
      b[pair + i * 8 + 1][group] = value(operands.b[i] >> 16);
    }
    for (int i = 0; i < 4; ++i) d[group + (i >> 1) * 8][pair + (i & 1)] = sums[i];
  }
  product(a, b, d);
  for (int lane = 0; lane < 32; ++lane) {
    auto* sums = static_cast<float*>(out[lane]);
    const int group = lane / 4, pair = lane % 4 * 2;
    for (int i = 0; i < 4; ++i) sums[i] = d[group + (i >> 1) * 8][pair + (i & 1)];
  }
}

}  // namespace rvx::cuda::sim
