// The inner kernel from step 04 on: a tile of rows (voxels, or Winograd tiles) by 32 output channels whose sums stay in registers while all taps and all input
// channels are gone through. Each multiply-add takes a vector of weights, loaded once a tile, and one input value, broadcast.
#pragma once
#include "ladder.h"

constexpr int kBlock = 32;                    // output channels of a tile
constexpr int kVectors = kBlock / kLanes;     // 2 (AVX-512) or 4 (AVX2) registers a row
constexpr int kRows = kLanes == 16 ? 12 : 3;  // 24 or 12 sums in registers

// c[r][0..31] = sum over taps t and k < K of a[offset[t] + r * aStride + k] * b[t][k][0..31]; R rows.
template <int R>
inline void tileOf(const float* a, size_t aStride, const ptrdiff_t* offset, int taps, int K,
                   const float* b, float* c, size_t cStride) {
  Vec sum[R][kVectors] = {};
  for (int t = 0; t < taps; t++) {
    const float* at = a + offset[t];
    for (int k = 0; k < K; k++, b += kBlock) {
      Vec w[kVectors];
      for (int v = 0; v < kVectors; v++) w[v] = load(b + v * kLanes);
#pragma GCC unroll 16
      for (int r = 0; r < R; r++) {
        const Vec in = fill(at[r * aStride + k]);
        for (int v = 0; v < kVectors; v++) sum[r][v] += in * w[v];
      }
    }
  }
  for (int r = 0; r < R; r++)
    for (int v = 0; v < kVectors; v++) store(c + r * cStride + v * kLanes, sum[r][v]);
}

// The same for fewer rows than a whole tile has.
template <int R = kRows - 1>
inline void restOf(int rows, const float* a, size_t aStride, const ptrdiff_t* offset, int taps,
                   int K, const float* b, float* c, size_t cStride) {
  if (rows == R) return tileOf<R>(a, aStride, offset, taps, K, b, c, cStride);
  if constexpr (R > 1) restOf<R - 1>(rows, a, aStride, offset, taps, K, b, c, cStride);
}

// All rows and all output channels; b is [Cout / 32][taps][K][32].
inline void product(int rows, const float* a, size_t aStride, const ptrdiff_t* offset, int taps,
                    int K, const float* b, int Cout, float* c, size_t cStride) {
  for (int o = 0; o < Cout; o += kBlock, b += size_t(taps) * K * kBlock) {
    int r = 0;
    for (; r + kRows <= rows; r += kRows)
      tileOf<kRows>(a + r * aStride, aStride, offset, taps, K, b, c + r * cStride + o, cStride);
    if (r < rows)
      restOf(rows - r, a + r * aStride, aStride, offset, taps, K, b, c + r * cStride + o, cStride);
  }
}

// Weights [Cout][Cin][taps] as [Cout / 32][taps][Cin][32].
inline std::vector<float> packBlocks(const float* weight, int Cout, int Cin, int taps) {
  std::vector<float> packed(size_t(Cout) * Cin * taps);
  for (int o = 0; o < Cout; o++)
    for (int c = 0; c < Cin; c++)
      for (int t = 0; t < taps; t++)
        packed[((size_t(o / kBlock) * taps + t) * Cin + c) * kBlock + o % kBlock] =
            weight[(size_t(o) * Cin + c) * taps + t];
  return packed;
}

// The same, one point of a Winograd transform after the other.
inline void appendBlocks(std::vector<float>& all, const std::vector<float>& point, const Problem& p,
                         int taps) {
  const auto packed = packBlocks(point.data(), p.Cout, p.Cin, taps);
  all.insert(all.end(), packed.begin(), packed.end());
}
