// How many rows the tiles of Winograd's products have, those of first layers too, and the choice of one by its number.
#pragma once
#include "core/isa.h"

namespace rvx::RVX_ISA {

// Where two splits of a row cost the same, the one with the size further on in its list is taken.
#if RVX_ISA_LANES == 16
#define RVX_WINOGRAD_SIZES_1 28, 24, 20, 16, 12, 8, 4
#define RVX_WINOGRAD_SIZES_2 14, 12, 10, 8, 6, 4, 2
#else
#define RVX_WINOGRAD_SIZES_1 12, 10, 8, 6, 4, 2
#define RVX_WINOGRAD_SIZES_2 6, 5, 4, 3, 2, 1
#endif

// Tile<NV, S>::run for S = size; nullptr where there is none.
template <class Function, template <int, int> class Tile, int NV, int... S>
Function tileOfSize(int size) {
  Function found = nullptr;
  ((size == S ? void(found = &Tile<NV, S>::run) : void()), ...);
  return found;
}
template <class Function, template <int, int> class Tile>
Function tileOf(int NV, int S) {
  return NV == 1 ? tileOfSize<Function, Tile, 1, RVX_WINOGRAD_SIZES_1>(S)
                 : tileOfSize<Function, Tile, 2, RVX_WINOGRAD_SIZES_2>(S);
}

}  // namespace rvx::RVX_ISA
