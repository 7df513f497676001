// dropout: ten rounds of Philox for four values. Blocks are made sixteen at a time, so that the
// rounds are vectorised.
// GCC leaves loops with a choice (x > 0 ? x : slope * x) scalar unless no operation may trap.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/dropout.h"

#include "math/philox.h"

namespace rvx::cpu::RVX_ISA {

void dropoutRun(const float* x, int64_t block, int64_t count, uint64_t seed, uint64_t offset,
                float p, float scale, float* y) {
  constexpr int64_t kBlocks = 16;
  alignas(64) uint32_t words[4 * kBlocks];
  for (int64_t i = 0; i < count; i += 4 * kBlocks, block += kBlocks) {
    for (int64_t k = 0; k < kBlocks; ++k) {
      const PhiloxWords w = philoxBlock(seed, static_cast<uint64_t>(block + k), offset);
      for (int j = 0; j < 4; ++j) words[4 * k + j] = w.word[j];
    }
    const int64_t n = count - i < 4 * kBlocks ? count - i : 4 * kBlocks;
    for (int64_t v = 0; v < n; ++v) {
      const float kept = x[i + v] * scale;
      y[i + v] = unitInterval(words[v]) >= p ? kept : 0.0f;
    }
  }
}

}  // namespace rvx::cpu::RVX_ISA
