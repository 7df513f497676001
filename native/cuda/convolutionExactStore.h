// The end of a tile of a convolution by FFMA: bias, rounding and storing, and the moments of the sums.
#pragma once
#include "cuda/convolutionExactTile.h"

namespace rvx::cuda {

// Adds the bias to the sums and stores them.
template <int G>
RVX_DEVICE void storeSums(const ExactPass& p, int co, int group, int split, const bool (&valid)[8],
                          const int64_t (&voxel)[8], float (&sum)[8][8]) {
  // A split's sums are raw: bias and type come when they are added.
  const DType type = p.split ? DType::f32 : p.type;
  void* y = p.split ? static_cast<float*>(p.y) + split * p.split : p.y;
  RVX_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int c = co + (half * G + group) * 4;
    int part = divide(c, p.byCout), own = c - part * p.cout;
    RVX_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (p.split || !p.bias || c + k >= p.made) continue;
      const float b = ld(p.bias + (own + k) % p.cout);
      RVX_UNROLL
      for (int i = 0; i < 8; ++i) sum[i][half * 4 + k] += b;
    }
    if (p.cout % 4 == 0) {
      if (c >= p.made) continue;
      const int64_t shift =
          (int64_t{(part >> 2) * p.outSize[1] + (part >> 1 & 1)} * p.outSize[2] + (part & 1)) *
              p.cout +
          own;
      RVX_UNROLL
      for (int i = 0; i < 8; ++i)
        if (valid[i])
          storeFour(type, y, voxel[i] * p.cout + shift, sum[i][half * 4], sum[i][half * 4 + 1],
                    sum[i][half * 4 + 2], sum[i][half * 4 + 3]);
    } else {
      RVX_UNROLL
      for (int k = 0; k < 4; ++k) {
        if (own == p.cout) own = 0, ++part;
        const int64_t shift =
            (int64_t{(part >> 2) * p.outSize[1] + (part >> 1 & 1)} * p.outSize[2] + (part & 1)) *
                p.cout +
            own++;
        RVX_UNROLL
        for (int i = 0; i < 8; ++i)
          if (valid[i] && c + k < p.made)
            storeOne(type, y, voxel[i] * p.cout + shift, sum[i][half * 4 + k]);
      }
    }
  }
}

// This thread's channel c (0..7) of the block's 8 * G.
template <int G>
RVX_DEVICE int channelOf(int group, int c) {
  return (c / 4 * G + group) * 4 + c % 4;
}

// Sums each of the thread's eight values over the block's positions; the totals of the 8 * G channels go to `totals`.
template <int G>
RVX_DEVICE void sumPositions(const float (&value)[8], float* scratch, float* totals) {
  const auto t = static_cast<int>(threadIdx.x);
  const int group = t / 8 % G, positions = t / (8 * G);
  RVX_UNROLL
  for (int c = 0; c < 8; ++c) {
    float v = value[c];
    for (int by = 1; by < 8; by *= 2) v += shuffleXor(v, by);
    if (t % 8 == 0) sts(scratch + positions * 8 * G + channelOf<G>(group, c), v);
  }
  syncBlock();
  if (t < 8 * G) {
    float total = 0;
    for (int i = 0; i < 16 / G; ++i) total += lds(scratch + i * 8 * G + t);
    sts(totals + t, total);
  }
  syncBlock();
}

// The block's mean, rounded, as a pivot; sums of deviations from it and of their squares.
template <int G>
RVX_DEVICE void writeMoments(const ExactPass& p, const float (&sum)[8][8], const bool (&valid)[8],
                             int count, int co, float4* to) {
  auto* scratch = sharedMemory<float>();
  float* totals = scratch + kExactThreads;  // 16 / G * 8 * G values before it
  float* squares = totals + 8 * G;
  const auto t = static_cast<int>(threadIdx.x);
  const int group = t / 8 % G;
  float value[8], square[8];
  RVX_UNROLL
  for (int c = 0; c < 8; ++c) {
    value[c] = 0;
    RVX_UNROLL
    for (int i = 0; i < 8; ++i) value[c] += valid[i] ? sum[i][c] : 0.0f;
  }
  syncBlock();
  sumPositions<G>(value, scratch, totals);
  const float pivotOfThread = t < 8 * G ? lds(totals + t) / static_cast<float>(count) : 0.0f;
  RVX_UNROLL
  for (int c = 0; c < 8; ++c) {
    const float pivot = lds(totals + channelOf<G>(group, c)) / static_cast<float>(count);
    value[c] = square[c] = 0;
    RVX_UNROLL
    for (int i = 0; i < 8; ++i) {
      const float d = valid[i] ? sum[i][c] - pivot : 0.0f;
      value[c] += d;
      square[c] = fma(d, d, square[c]);
    }
  }
  syncBlock();
  sumPositions<G>(value, scratch, totals);
  sumPositions<G>(square, scratch, squares);
  if (t < 8 * G && co + t < p.cout)
    st(to + t,
       make_float4(pivotOfThread, lds(totals + t), lds(squares + t), static_cast<float>(count)));
}

}  // namespace rvx::cuda
