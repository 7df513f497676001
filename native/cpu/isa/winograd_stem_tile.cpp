// The matrix product of winograd_stem.h: S tiles by NV vectors of output channels, held in registers. As
// winograd_tile.cpp, but that tiles lie next to each other and that each step of the inner dimension
// has a place of its own.
#include "cpu/isa/vector.h"
#include "cpu/isa/winograd_stem.h"
#include "cpu/isa/winograd_tile_sizes.h"

namespace rvx::RVX_ISA {
namespace {

template <int NV, int S>
struct Tile {
  static void run(const StemTile& j);
};

template <int NV, int S>
void Tile<NV, S>::run(const StemTile& j) {
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

}  // namespace

StemTileFunction stemTile(int NV, int S) { return tileOf<StemTileFunction, Tile>(NV, S); }

}  // namespace rvx::RVX_ISA
