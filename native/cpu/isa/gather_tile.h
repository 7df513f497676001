// The innermost loop of all gathers (see cpu/gather.cpp): a tile of S voxels by NV vectors of output
// channels, held in registers while taps and input channels go by.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

struct TilePass {
  const float* in;           // packed input of the tile's first voxel
  const int64_t* tapOffset;  // of each tap, in floats
  int64_t taps, run;         // run: input channels of a tap that lie one after the other
  const float* weight;       // [taps][run][NV][lanes]
  const float* start;        // sums to begin with, startStride floats from voxel to voxel
  int64_t startStride;
  float* sum;  // where they go, sumStride floats from voxel to voxel
  int64_t sumStride;
  bool
      stream;  // past the caches, where these are whole lines of one; finishStreams() comes before anyone reads them
};
using TileFunction = void (*)(const TilePass&);

// P: output rows interleaved in the lanes. VS: floats from voxel to voxel of the packed input.
struct TileKind {
  int P, NV, S, VS;
};

RVX_ISA_DECLARE(
    // nullptr where there is none.
    TileFunction findTile(TileKind kind); TileFunction findTileWide(TileKind kind);
    TileFunction findTilePaired(TileKind kind); TileFunction findTileThin(TileKind kind);
    int vectorLanes(); void finishStreams();
    // Ascending, ends with 0.
    const int* tileSizes(int NV, bool thin);)

}  // namespace rvx
