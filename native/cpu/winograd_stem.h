// Winograd's convolution for first layers: up to 4 input channels, kernels of up to 4 taps a phase along
// H and W, any along D; tiles of 4 x 4 outputs of a plane.
//
// A convolution with stride s is the sum of s convolutions with stride 1, of every s-th tap and input
// (polyphase form). Each has the form of Winograd
//
//   Y = A^T [sum over kd, phases, ci of (G g G^T) * (B^T X B)] A     along H and W
//
// (Lavin and Gray 2015; points in isa/winograd_stem_points.h). A phase with r taps has 3 + r points. All
// take the same ones, so that A is common and products of all phases, planes and channels are added
// before the one transform of the output. For 7^3 with stride 2 the phases have 4 and 3 taps, 7 and 6
// points: 13^2 products for 16 outputs where the direct form has 28^2, 4.6 times fewer. The products
// are small matrix products, one for each of 49 points: rows are tiles, columns output channels, the
// inner dimension is 7 planes by up to 4 pairs of phases.
//
// Bytes beyond the direct form: transformed input, 169/64 of the plain size, which stays in the second
// cache: strips of rows of tiles walk along D with a ring of as many planes as the kernel has.
//
// Nothing here depends on the number of threads. A product's order is that of planes, phases, channels
// whatever the tile, so each voxel's bits depend on nothing else.
//
// Known limits: strips are not cut along W, so the ring of wide rows (above about 500 outputs at one
// channel) leaves the second cache; output channels are padded to whole vectors.
#pragma once
#include <vector>

#include "cpu/convolution.h"
#include "cpu/isa/winograd_stem.h"

namespace rvx::cpu {

constexpr int64_t kStemMostChannels = 4;

// The phases of an axis and their points. Entries are the points of all phases, one phase after the
// other.
struct StemAxis {
  explicit StemAxis(const GatherAxis& axis);

  struct Phase {
    int64_t taps;  // first, first + step, ...
    int points, entry;
  };
  int64_t step, taps, tiles;
  std::vector<Phase> phases;
  int points = 0, entries = 0;              // points: of the phase that has most
  std::vector<std::vector<int>> entriesOf;  // by point

  // Input positions that `tiles` tiles reach.
  int64_t reach(int64_t tiles) const { return (tiles * kStemTile - 1) * step + taps; }
};

struct StemPlan {
  explicit StemPlan(const Gather& g);

  int lanes;
  int64_t cin;
  StemAxis h, w;

  // Points are numbered [w][h]. The inner dimension of a product is [kd][entry of h][entry of w][ci].
  struct Point {
    int64_t perPlane;  // steps for one kd
    int64_t weight;    // where its weights begin, in steps
  };
  std::vector<Point> points;
  int64_t steps = 0;  // of all points
  // Where a plane of the ring has each step of one kd, point by point.
  std::vector<int64_t> stepAt;

  // Weights, in floats: [output block][point][step][NV][lanes].
  struct OutBlock {
    int NV;
    int64_t first;  // lane
  };
  std::vector<OutBlock> outBlocks;
  int64_t couts = 0;  // lanes of all
  int64_t weightFloats() const { return steps * couts; }

  // Packed rows of the input: column c lies at c % period * places + c / period.
  int64_t period, places, rowFloats;
  std::vector<int64_t> columnAt;  // of column c of the first tile, c < reach(1)

  // Strips: rows of tiles in one, how many there are; planes of a chunk along D.
  int64_t stripTileRows = 1, strips = 1, chunkPlanes = 0, chunks = 1;
  int64_t firstPlane, slots;  // of the ring: z >= firstPlane goes to slot (z - firstPlane) % slots
  int64_t entryStride =
      0;  // floats of one channel's pair of entries: the tiles of a strip, and slack
  int64_t planeFloats() const { return cin * h.entries * w.entries * entryStride; }

  // Tiles that go from products to outputs together, and how their products are cut, by NV.
  int64_t groupTiles[3] = {0, 0, 0}, paddedTiles[3] = {0, 0, 0};
  struct Tile {
    int64_t at;
    StemTileFunction run;
  };
  std::vector<Tile> tiles[3];

  bool stream;  // y past the caches

 private:
  void splitStrips(const Gather& g);
  void groupTilesOf(int NV);
};

// Whether `g` is what the above computes.
bool stemFits(const Gather& g);

void stemWeights(const Gather& g, const StemPlan& plan, float* weights);
void runWinogradStem(const Gather& g, Context& cx);

}  // namespace rvx::cpu
