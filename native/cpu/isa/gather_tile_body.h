// The tile of gather_tile.h as a template. S * NV sums, NV weights and one broadcast fill the
// registers: 16 of them up to AVX2, 32 with AVX-512, where the broadcast is an operand in memory.
// VS is a constant so that all addresses of the loop are one register and a displacement.
#pragma once
#include "cpu/isa/gather_tile.h"
#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {

template <int P, int NV, int S, int VS>
void tile(const TilePass& pass) {
  Vec sum[S][NV];
  const float* start = pass.start;
#pragma GCC unroll 32
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 2
    for (int n = 0; n < NV; ++n) sum[s][n] = load(start + n * kLanes);
    start += pass.startStride;
  }
  const float* w = pass.weight;
  const int64_t length = pass.run * P;
  for (int64_t t = 0; t < pass.taps; ++t) {
    const float* x = pass.in + pass.tapOffset[t];
    const float* end = x + length;
    do {
      Vec weight[NV];
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) weight[n] = load(w + n * kLanes);
#pragma GCC unroll 32
      for (int s = 0; s < S; ++s) {
        const Vec value = broadcast<P>(x + s * VS);
#pragma GCC unroll 2
        for (int n = 0; n < NV; ++n) sum[s][n] = fma(value, weight[n], sum[s][n]);
      }
      w += NV * kLanes;
      x += P;
    } while (x != end);
  }
  float* out = pass.sum;
  if (pass.stream) {
#pragma GCC unroll 32
    for (int s = 0; s < S; ++s) {
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) stream(out + n * kLanes, sum[s][n]);
      out += pass.sumStride;
    }
    return;
  }
#pragma GCC unroll 32
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 2
    for (int n = 0; n < NV; ++n) store(out + n * kLanes, sum[s][n]);
    out += pass.sumStride;
  }
}

template <int P, int NV, int VS, int... S>
TileFunction pickSize(int size) {
  TileFunction found = nullptr;
  ((size == S ? void(found = &tile<P, NV, S, VS>) : void()), ...);
  return found;
}

#if RVX_ISA_LANES == 16
#define RVX_SIZES_1 2, 4, 6, 8, 10, 12, 16, 20, 24, 28
#define RVX_SIZES_2 2, 4, 6, 8, 10, 12, 14
#define RVX_SIZES_THIN 4, 8, 16, 28
#else
#define RVX_SIZES_1 2, 4, 6, 8, 10, 12
#define RVX_SIZES_2 1, 2, 3, 4, 5, 6
#define RVX_SIZES_THIN 2, 4, 8, 12
#endif

template <int P, int VS>
TileFunction pickVectors(TileKind k) {
  return k.NV == 1   ? pickSize<P, 1, VS, RVX_SIZES_1>(k.S)
         : k.NV == 2 ? pickSize<P, 2, VS, RVX_SIZES_2>(k.S)
                     : nullptr;
}

}  // namespace rvx::RVX_ISA
