// Tiles for one to four input channels, whose columns lie next to each other; and the table of all.
#include "cpu/isa/gather_tile_body.h"

namespace rvx::RVX_ISA {

TileFunction findTileThin(TileKind k) {
  if (k.NV != 1) return nullptr;
  if (k.P == 1 && k.VS == 1) return pickSize<1, 1, 1, RVX_SIZES_THIN>(k.S);
  if (k.P == 1 && k.VS == 2) return pickSize<1, 1, 2, RVX_SIZES_THIN>(k.S);
  if (k.P == 1 && k.VS == 4) return pickSize<1, 1, 4, RVX_SIZES_THIN>(k.S);
#if RVX_ISA_LANES > 4
  if (k.P == 2 && k.VS == 2) return pickSize<2, 1, 2, RVX_SIZES_THIN>(k.S);
  if (k.P == 2 && k.VS == 4) return pickSize<2, 1, 4, RVX_SIZES_THIN>(k.S);
  if (k.P == 2 && k.VS == 8) return pickSize<2, 1, 8, RVX_SIZES_THIN>(k.S);
#endif
  return nullptr;
}

TileFunction findTile(TileKind k) {
  if (k.VS < 8 * k.P) return findTileThin(k);
  return k.P == 1 ? findTileWide(k) : findTilePaired(k);
}

int vectorLanes() { return kLanes; }

void finishStreams() { fence(); }

const int* tileSizes(int NV, bool thin) {
  static const int one[] = {RVX_SIZES_1, 0}, two[] = {RVX_SIZES_2, 0}, few[] = {RVX_SIZES_THIN, 0};
  return thin ? few : NV == 1 ? one : two;
}

}  // namespace rvx::RVX_ISA
