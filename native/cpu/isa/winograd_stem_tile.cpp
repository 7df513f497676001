// The matrix product of winograd_stem.h: S tiles by NV vectors of output channels, held in registers. As
// winograd_tile.cpp, but that tiles lie next to each other and that each step of the inner dimension
// has a place of its own.
#include "cpu/isa/vector.h"
#include "cpu/isa/winograd_stem.h"

namespace rvx::RVX_ISA {
namespace {

template <int NV, int S>
void tile(const StemTile& j) {
  Vec sum[S][NV] = {};
  const float* w = j.weight;
  const int64_t *offset = j.offsets, *last = offset + j.length;
  for (; offset != last; ++offset) {
    const float* x = j.in + *offset;
    Vec weight[NV];
#pragma GCC unroll 2
    for (int n = 0; n < NV; ++n) weight[n] = load(w + n * kLanes);
#pragma GCC unroll 32
    for (int s = 0; s < S; ++s) {
      const Vec value = broadcast<1>(x + s);
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) sum[s][n] = fma(value, weight[n], sum[s][n]);
    }
    w += NV * kLanes;
  }
  float* out = j.out;
#pragma GCC unroll 32
  for (int s = 0; s < S; ++s)
#pragma GCC unroll 2
    for (int n = 0; n < NV; ++n) store(out + (s * NV + n) * kLanes, sum[s][n]);
}

template <int NV, int... S>
StemTileFunction pickSize(int size) {
  StemTileFunction found = nullptr;
  ((size == S ? void(found = &tile<NV, S>) : void()), ...);
  return found;
}

// Where two splits of a row cost the same, the one with the size further on in its list is taken.
#if RVX_ISA_LANES == 16
#define RVX_SIZES_1 28, 24, 20, 16, 12, 8, 4
#define RVX_SIZES_2 14, 12, 10, 8, 6, 4, 2
#else
#define RVX_SIZES_1 12, 10, 8, 6, 4, 2
#define RVX_SIZES_2 6, 5, 4, 3, 2, 1
#endif

}  // namespace

StemTileFunction stemTile(int NV, int S) {
  return NV == 1 ? pickSize<1, RVX_SIZES_1>(S) : pickSize<2, RVX_SIZES_2>(S);
}

const int* stemTileSizes(int NV) {
  static const int one[] = {RVX_SIZES_1, 0}, two[] = {RVX_SIZES_2, 0};
  return NV == 1 ? one : two;
}

}  // namespace rvx::RVX_ISA
