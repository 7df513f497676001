// The matrix product of winograd.h: S rows by NV vectors of output channels, held in registers while
// blocks of input channels go by. As gather_tile_body.h, for products so short that what comes before
// and after the loop counts.
#include "cpu/isa/vector.h"
#include "cpu/isa/winograd.h"

namespace rvx::RVX_ISA {
namespace {

template <int NV, int S>
void tile(const WinogradTile& j) {
  Vec sum[S][NV] = {};
  const float* w = j.weight;
  const int64_t run = j.run;
  const int64_t *offset = j.offsets, *last = offset + j.blocks;
  do {
    const float* x = j.in + *offset;
    const float* end = x + run;
    do {
      Vec weight[NV];
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) weight[n] = load(w + n * kLanes);
#pragma GCC unroll 32
      for (int s = 0; s < S; ++s) {
        const Vec value = broadcast<1>(x + s * kWinogradBlock);
#pragma GCC unroll 2
        for (int n = 0; n < NV; ++n) sum[s][n] = fma(value, weight[n], sum[s][n]);
      }
      w += NV * kLanes;
    } while (++x != end);
  } while (++offset != last);
  float* out = j.out;
  const int64_t stride = j.outStride;
  if (j.add) {
#pragma GCC unroll 32
    for (int s = 0; s < S; ++s)
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) sum[s][n] += load(out + s * stride + n * kLanes);
  }
#pragma GCC unroll 32
  for (int s = 0; s < S; ++s) {
#pragma GCC unroll 2
    for (int n = 0; n < NV; ++n) store(out + n * kLanes, sum[s][n]);
    out += stride;
  }
}

template <int NV, int... S>
WinogradTileFunction pickSize(int size) {
  WinogradTileFunction found = nullptr;
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

WinogradTileFunction winogradTile(int NV, int S) {
  return NV == 1 ? pickSize<1, RVX_SIZES_1>(S) : pickSize<2, RVX_SIZES_2>(S);
}

const int* winogradTileSizes(int NV) {
  static const int one[] = {RVX_SIZES_1, 0}, two[] = {RVX_SIZES_2, 0};
  return NV == 1 ? one : two;
}

}  // namespace rvx::RVX_ISA
