// Philox4x32-10: a counter-based generator. philox(key, counter) is a bijection of the 128-bit counter
// for every 64-bit key, so random number i of a stream needs no state and may be made by any thread.
//
// Source: J. K. Salmon, M. A. Moraes, R. O. Dror, D. E. Shaw, "Parallel random numbers: as easy as
// 1, 2, 3", SC'11. The known answers of the authors' Random123 library are checked in philox.cpp
// when it is compiled. Cost: 10 rounds of two 32x32->64 multiplications for four words.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

struct PhiloxKey {
  uint32_t word[2];
};
struct PhiloxWords {
  uint32_t word[4];
};

RVX_PORTABLE constexpr PhiloxWords philox(PhiloxKey key, PhiloxWords counter) {
  uint32_t k0 = key.word[0], k1 = key.word[1];
  uint32_t a = counter.word[0], b = counter.word[1], c = counter.word[2], d = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t p = uint64_t{0xD2511F53u} * a, q = uint64_t{0xCD9E8D57u} * c;
    a = static_cast<uint32_t>(q >> 32) ^ b ^ k0;
    b = static_cast<uint32_t>(q);
    c = static_cast<uint32_t>(p >> 32) ^ d ^ k1;
    d = static_cast<uint32_t>(p);
    k0 += 0x9E3779B9u;
    k1 += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

// The key of a seed: its low and high word.
RVX_PORTABLE constexpr PhiloxKey philoxKey(uint64_t seed) {
  return {{static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)}};
}

// Words 4 * block .. 4 * block + 3 of a seed's stream. `stream` separates users of one seed.
RVX_PORTABLE constexpr PhiloxWords philoxBlock(uint64_t seed, uint64_t block, uint64_t stream = 0) {
  return philox(philoxKey(seed),
                {{static_cast<uint32_t>(block), static_cast<uint32_t>(block >> 32),
                  static_cast<uint32_t>(stream), static_cast<uint32_t>(stream >> 32)}});
}

// A word as a float in [0, 1): its upper 24 bits, so that every value is exact and 1 never occurs.
RVX_PORTABLE constexpr float unitInterval(uint32_t word) {
  return static_cast<float>(word >> 8) * (1.0f / 16777216.0f);
}

}  // namespace rvx
