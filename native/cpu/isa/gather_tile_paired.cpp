// Tiles for few output channels: two or four output rows share a vector.
#include "cpu/isa/gather_tile_body.h"

namespace rvx::RVX_ISA {

TileFunction findTilePaired(TileKind k) {
#if RVX_ISA_LANES > 4
  if (k.P == 2 && k.VS == 16) return pickVectors<2, 16>(k);
  if (k.P == 2 && k.VS == 32) return pickVectors<2, 32>(k);
  if (k.P == 4 && k.VS == 64 && k.NV == 1) return pickSize<4, 1, 64, RVX_SIZES_1>(k.S);
#endif
  (void)k;
  return nullptr;
}

}  // namespace rvx::RVX_ISA
