// The weight gradient of a 3^3 convolution by the transpose of Winograd's form (winograd_plan.h):
//
//   dw[co,ci] = G^T [sum over tiles of (B^T X B) * (A dY A^T)] G     along each of the three axes
//
// with the tiles of 2 x 4 x 4 voxels of dY and the same matrices. Sums over tiles are small matrix
// products, one for each of 36 points (h, w) times 4 along D: [Cin x tiles] by [tiles x Cout].
//
// Multiply-adds: 144 Cin Cout for 32 voxels, a sixth of the direct 864. Bytes: x and dY once, and the
// sums, 144/27 of the weight's size, for every step of a strip.
//
// Two orders. Strips: rows of tiles walk along D, some pairs of planes a step, and add to a partial
// sum; partial sums are added in their order. Points, for weights whose sums no second cache holds:
// x and dY are transformed whole, then summed point by point.
//
// Nothing here depends on the number of threads. Sums are taken in registers over the tiles of a
// step, then over steps, then over partial sums, which keeps their error near that of the transforms.
#pragma once
#include <vector>

#include "cpu/convolutionGradWeight.h"
#include "cpu/isa/grad_tile.h"
#include "cpu/winograd_plan.h"

namespace rvx::cpu {

struct WinogradGradientPlan {
  explicit WinogradGradientPlan(const WeightGradient& g);

  enum class Order { strips, points };
  Order order;
  int lanes;
  Lattices lattices;
  int64_t count;                  // of lattices of all samples
  Int3 outputs;                   // of the largest lattice
  int64_t tilesH, tilesW, pairs;  // of it: tiles of a plane, pairs of planes
  int64_t cin, blocks, run;       // as in WinogradPlan

  struct OutBlock {
    int NV;
    int64_t first;  // lane
  };
  std::vector<OutBlock> outBlocks;
  int64_t couts = 0;  // lanes of all

  // Input channels of a block as products take them.
  struct Group {
    int64_t at;
    GradFunction run;
  };
  std::vector<Group> groups[3];  // by NV
  int64_t slots = 0;  // channels of a block in the sums, those that are read beyond its end too

  // Sums, in floats: [point][q][out block][block][slots][NV][lanes] with q the points along D.
  int64_t productFloats() const { return blocks * slots * couts; }
  int64_t sumPoint() const { return kWinogradDepth * productFloats() + kWinogradBlock; }
  int64_t sumFloats() const { return kWinogradPoints * sumPoint(); }

  // Strips: rows of tiles in one, pairs of planes in a step and in a chunk; how many of them.
  int64_t stripTileRows = 1, strips = 1, stepPairs = 1, chunkPairs = 1, chunks = 1, partials = 1;

  WinogradSource source(const WeightGradient& g) const {
    return {g.fine,   g.fineSize, g.slope, {-g.padding[0], -g.padding[1], -g.padding[2]},
            lattices, tilesW,     blocks};
  }
  Lattice output(const WeightGradient& g, int64_t n) const {
    return lattices.outputs(g.coarseSize, n);
  }

 private:
  void splitStrips();
};

// Whether `g` is what the above computes: 3^3, stride 1, any dilation.
bool winogradGradientFits(const WeightGradient& g);
void runWinogradGradient(const WeightGradient& g, Context& cx);

}  // namespace rvx::cpu
