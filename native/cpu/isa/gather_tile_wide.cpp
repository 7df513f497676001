// Tiles for whole vectors of output channels: one output row at a time.
#include "cpu/isa/gather_tile_body.h"

namespace rvx::RVX_ISA {

TileFunction findTileWide(TileKind k) {
  if (k.VS == 8) return pickVectors<1, 8>(k);
  if (k.VS == 16) return pickVectors<1, 16>(k);
  if (k.VS == 32) return pickVectors<1, 32>(k);
  return nullptr;
}

}  // namespace rvx::RVX_ISA
