// Philox words in batches, word by word apart (structure of arrays), so that compilers vectorise the
// rounds and the Box-Muller step. All instruction sets make the same bits.
#include "cpu/isa/random.h"

#include <algorithm>

#include "math/normal.h"
#include "math/philox.h"

namespace rvx::cpu::RVX_ISA {
namespace {

constexpr int64_t kBatch = 64;

struct Words {
  uint32_t word[4][kBatch];
};

void draw(uint64_t seed, uint64_t stream, uint64_t block, Words& out) {
  const PhiloxKey key = philoxKey(seed);
  const auto c = static_cast<uint32_t>(stream), d = static_cast<uint32_t>(stream >> 32);
  for (int64_t j = 0; j < kBatch; ++j) {
    const uint64_t counter = block + static_cast<uint64_t>(j);
    const PhiloxWords w =
        philox(key, {{static_cast<uint32_t>(counter), static_cast<uint32_t>(counter >> 32), c, d}});
    for (int k = 0; k < 4; ++k) out.word[k][j] = w.word[k];
  }
}

}  // namespace

void normals(uint64_t seed, uint64_t stream, uint64_t block, int64_t count, float mean,
             float deviation, float* y) {
  Words words;
  float value[4][kBatch];
  for (int64_t b = 0; b < count; b += kBatch) {
    draw(seed, stream, block + static_cast<uint64_t>(b), words);
    for (int pair = 0; pair < 4; pair += 2)
      for (int64_t j = 0; j < kBatch; ++j) {
        const NormalPair p = normalPair(words.word[pair][j], words.word[pair + 1][j]);
        value[pair][j] = mean + deviation * p.first;
        value[pair + 1][j] = mean + deviation * p.second;
      }
    const int64_t n = std::min(kBatch, count - b);
    for (int64_t j = 0; j < n; ++j)
      for (int k = 0; k < 4; ++k) y[4 * (b + j) + k] = value[k][j];
  }
}

void uniforms(uint64_t seed, uint64_t stream, uint64_t block, int64_t count, float low, float range,
              float* y) {
  Words words;
  for (int64_t b = 0; b < count; b += kBatch) {
    draw(seed, stream, block + static_cast<uint64_t>(b), words);
    const int64_t n = std::min(kBatch, count - b);
    for (int64_t j = 0; j < n; ++j)
      for (int k = 0; k < 4; ++k) y[4 * (b + j) + k] = low + range * unitInterval(words.word[k][j]);
  }
}

}  // namespace rvx::cpu::RVX_ISA
