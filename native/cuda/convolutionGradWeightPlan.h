// How a weight gradient is cut. The sum over the voxels of `coarse` is the long dimension: they are cut into tiles, the tiles into
// `splits` runs. A block takes a run, a tile of channels of both tensors and a box of taps, and keeps all their sums in registers while it
// goes through the run; its sums are one or more partial results, which another kernel adds in order.
//
// A tile of voxels is made of steps of 16: a patch of 16, 8 or 4 along W and 1, 2 or 4 along D, in one row of H. Four rows in a
// line make a quad. Shared memory holds channels in units of 16 bytes (operandUnit.h), a plane of slots for each: those of `coarse` step
// by step; those of `fine` as the lattice (gatherAxis.h) that the tile and the box's taps touch, by phase along W under a stride.
#pragma once
#include "cuda/convolutionGradWeight.h"
#include "cuda/gatherAxis.h"

namespace rvx::cuda {

constexpr int kQuadRows = 4;
constexpr int kWarpTaps = 9;  // most of a warp on tensor cores
// Bytes of shared memory before the norms (the share's eight numbers, the taps) and before the tables (norms of 32 and 16 channels): all at
// multiples of 8, which the tables, whose slots may be odd, would not keep.
constexpr unsigned kGradNormsAt = 8 * 4 + 3 * kWarpTaps * 8;
constexpr unsigned kGradTablesAt = kGradNormsAt + (32 + 16) * 8;

struct GradTile {
  GatherAxis axis[3];  // positions are voxels of coarse, inputs those of fine
  int boxes[3] = {1, 1, 1};
  int patchW = 16, patchD = 1, patchesW = 1, patchesD = 1;
  int quads = 1;                                                         // of a tile
  int phase = 1, pitch = 1, slice = 1, fineSlots = 1;                    // slots of the lattice
  int coarseSlots = 16, coarsePitch = 16;                                // pitch: of a plane
  int tapWarps = 1, tapsPerWarp = 1, coarseGroups = 1, voxelGroups = 1;  // warps of a block
  bool rowsShared = false;             // three taps along H share the loads of their rows
  int coarseUnits = 2, fineUnits = 2;  // of a block
  int coarseTiles = 1, fineTiles = 1;
  int firstUnits = 1;  // of the first fine tensor; the second one begins at a whole unit
  int unit = 8;        // channels of a unit
  int tiles = 0, splits = 1;
  unsigned sharedBytes = 0;

  RVX_PORTABLE int threads() const { return 32 * tapWarps * coarseGroups * voxelGroups; }
  RVX_PORTABLE int steps() const { return quads * kQuadRows; }
  RVX_PORTABLE int boxCount() const { return boxes[0] * boxes[1] * boxes[2]; }
  RVX_PORTABLE int taps() const { return axis[0].taps * axis[1].taps * axis[2].taps; }
  // Channels of a partial result, with padding.
  RVX_PORTABLE int coarsePadded() const { return coarseTiles * coarseUnits * unit; }
  RVX_PORTABLE int finePadded() const { return fineTiles * fineUnits * unit; }
  RVX_PORTABLE int64_t partialSize() const {
    return int64_t{taps()} * coarsePadded() * finePadded();
  }
  RVX_PORTABLE int64_t partials() const { return int64_t{splits} * voxelGroups; }
  unsigned tableBytes() const {
    return (kGradTablesAt + static_cast<unsigned>(fineSlots + coarseSlots) * 4 + 127) / 128 * 128;
  }
  // Besides sharedBytes where coarse is formed: five coefficients a channel.
  unsigned formedBytes() const { return static_cast<unsigned>(coarseUnits * 9 * 20); }
};

GradTile planGradient(const WeightGradient& g);

}  // namespace rvx::cuda
