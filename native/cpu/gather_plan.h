// How a gather (convolution.h) is laid out for the machine: lanes, channel blocks, packed rows,
// tiles, passes, tasks. Nothing here depends on the number of threads.
#pragma once
#include <vector>

#include "cpu/convolution.h"
#include "cpu/isa/gather_tile.h"
#include "cpu/packed_planes.h"

namespace rvx::cpu {

// Tile sizes whose sum is at least `width`, with the least cost: cycles for one input channel of
// one tap, bounded by multiply-adds, loads or the latency of the sums. `sizes` ends with 0.
std::vector<int> splitRow(int64_t width, int NV, const int* sizes);

struct GatherPlan {
  explicit GatherPlan(const Gather& g);

  int lanes;

  PackedLayout packed;
  // merged: the taps along W and the input channels are one run; columns are all in order.
  bool merged = false, thin = false;
  int64_t run(const PackedLayout::Block& b) const { return merged ? mergedRun : b.count; }
  int64_t mergedRun = 0;

  // Output channels, by part of the gather.
  struct OutBlock {
    int NV;
    size_t part;
    int64_t first, count;  // channels
    int64_t weight, bias;  // offsets of the packed weights and bias, in floats
  };
  std::vector<OutBlock> outBlocks;
  int64_t weightFloats = 0, biasFloats = 0;

  // Taps in the order D, H, W; with merged, D, H.
  struct Tap {
    int64_t d, h, w;      // index into the axis's list
    int64_t row, column;  // offset in the packed plane, in rows and columns' places
  };
  std::vector<Tap> taps;
  int64_t tapsPerPlane = 0;
  int64_t firstRow = 0;  // smallest tap offset along H
  int64_t extent[3];     // greatest tap offset minus smallest

  int64_t voxelFloats;  // from one output voxel to the next

  // Tiles of a row, for NV = 1 and 2; their total width is at least the row's.
  struct Tile {
    int64_t at;
    TileFunction run;
  };
  std::vector<Tile> tiles[3];
  int64_t tiledWidth[3] = {0, 0, 0};

  // Tasks: samples x row blocks x plane chunks x groups of output blocks.
  int64_t rowsPerBlock = 0, rowBlocks = 0;      // rows of all interleaved output rows together
  int64_t planesPerChunk = 0, planeChunks = 0;  // output planes
  int64_t planesPerStep = 1;
  int64_t outGroups = 1;
  int64_t rowsOfStep() const { return (rowsPerBlock + packed.interleave - 1) / packed.interleave; }

  // Number of passes into which the taps of an input block are cut, so that their weights stay in
  // the first cache.
  int64_t passes(const PackedLayout::Block& b, int NV) const;

 private:
  void chooseChannels(const Gather& g);
  void placeTaps(const Gather& g);
  void tileRows(const Gather& g);
  void splitWork(const Gather& g);
};

}  // namespace rvx::cpu
