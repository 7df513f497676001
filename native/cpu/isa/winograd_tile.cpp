// The matrix product of winograd.h: S rows by NV vectors of output channels, held in registers while
// blocks of input channels go by. As gather_tile_body.h, for products so short that what comes before
// and after the loop counts.
#include "cpu/isa/vector.h"
#include "cpu/isa/winograd.h"
#include "cpu/isa/winograd_tile_sizes.h"

namespace rvx::RVX_ISA {
namespace {

template <int NV, int S>
struct Tile {
  static void run(const WinogradTile& j);
};

template <int NV, int S>
void Tile<NV, S>::run(const WinogradTile& j) {
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

}  // namespace

WinogradTileFunction winogradTile(int NV, int S) {
  return tileOf<WinogradTileFunction, Tile>(NV, S);
}

const int* winogradTileSizes(int NV) {
  static const int one[] = {RVX_WINOGRAD_SIZES_1, 0}, two[] = {RVX_WINOGRAD_SIZES_2, 0};
  return NV == 1 ? one : two;
}

}  // namespace rvx::RVX_ISA
