// Winograd's convolution W(2,4,4): a 3^3 convolution with stride 1 by tiles of 2 x 4 x 4 outputs,
//
//   Y = A^T [sum over ci of (G g G^T) * (B^T X B)] A     along each of the three axes
//
// (Lavin and Gray 2015; matrices in isa/winograd_points.h). Products are small matrix products over
// channels, one for each of 36 points (h, w) times 4 along D: rows are tiles, columns output channels.
//
// Multiply-adds: 144 Cin Cout for 32 outputs, a sixth of the direct 864. Bytes beyond the direct form:
// weights of 144/27 the plain size, and transformed input (36/16 of it, 2 more columns and rows a tile)
// and output, which stay in the second cache in strips.
//
// Two orders. Strips (winograd_strip.cpp): rows of tiles walk along D, all points inside, for levels
// whose weights fit into a cache. Points (winograd_points.cpp): the whole volume is transformed, then
// point by point multiplied, so that the weights of deep levels are read once.
//
// Known limits: strips are not cut along W, so the ring of wide rows (above about 256 voxels at 16
// channels) leaves the second cache; channels are padded to 16.
//
// Nothing here depends on the number of threads. A row's product runs over channels in one order
// whatever the tile, so each voxel's bits depend on nothing else.
#pragma once
#include <vector>

#include "cpu/convolution.h"
#include "cpu/isa/winograd.h"

namespace rvx::cpu {

// What tiles of input are cut from: sources with norm on load, the input row and column of the first
// tile, the tiles of a row, blocks of channels.
struct WinogradSource {
  const std::array<GatherSource, 2>& sources;
  const Int3& size;
  float slope;
  int64_t firstRow, firstColumn, tilesW, blocks;

  // Of the buffer that winogradInput wants.
  int64_t bufferFloats() const { return 6 * (tilesW * kWinogradTile + 2) * kWinogradBlock; }
};

struct WinogradPlan {
  explicit WinogradPlan(const Gather& g);

  enum class Order { strips, points };
  Order order;
  int lanes;
  int64_t tilesH, tilesW;  // of a plane

  // Input channels in blocks of kWinogradBlock, of which products read the first `run`.
  int64_t cin, blocks, run;
  int64_t channels() const { return blocks * run; }

  struct OutBlock {
    int NV;
    int64_t first;  // lane
  };
  std::vector<OutBlock> outBlocks;
  int64_t couts = 0;  // lanes of all

  // Weights, in floats: [point][q][out block][block][run][NV][lanes] with q the points along D.
  int64_t productFloats() const { return channels() * couts; }
  int64_t weightPoint() const { return kWinogradDepth * productFloats() + kWinogradBlock; }
  int64_t weightFloats() const { return kWinogradPoints * weightPoint(); }

  // Rows of a product: tiles of the strip, or of all pairs of planes of a sample.
  int64_t rows = 0, paddedRows = 0;
  struct Tile {
    int64_t at;
    WinogradTileFunction run;
  };
  std::vector<Tile> tiles[3];  // by NV
  int64_t blocksPerPass[3] = {1, 1, 1};

  // Strips: rows of tiles in one, how many there are; planes of a chunk along D.
  int64_t stripTileRows = 1, strips = 1, chunkPlanes = 0, chunks = 1;
  int64_t stripTiles() const { return stripTileRows * tilesW; }

  // The input of `g`, for whose life alone this is good.
  WinogradSource source(const Gather& g) const;

  // out[row][couts] = in[row] * weights, with block b of channels at in + offsets[b].
  void multiply(const float* in, const int64_t* offsets, const float* weights, float* out) const;

 private:
  void splitStrips(const Gather& g);
  void tileRows();
};

// Whether `g` is what the above computes: 3^3, stride 1, no dilation.
bool winogradFits(const Gather& g);

// The weights of `g` as the plan wants them, and the bias as `couts` floats.
void winogradWeights(const Gather& g, const WinogradPlan& plan, float* weights);
std::vector<float> winogradBias(const Gather& g, const WinogradPlan& plan);

// Transforms a row of tiles of plane z, inside, of sample n. Block b of channels goes to out +
// b * blockStride.
void winogradInput(const WinogradSource& source, int64_t n, int64_t z, int64_t tileRow, float* out,
                   int64_t pointStride, int64_t blockStride, float* buffer);

// Transforms a row of tiles of output plane d back and stores it; returns the number of voxels.
// `moments`: mean [couts], then sum of squared deviations [couts]; or nullptr.
int64_t winogradOutput(const Gather& g, const WinogradPlan& plan, int64_t n, int64_t d,
                       int64_t tileRow, const float* in, int64_t pointStride, const float* bias,
                       float* moments);

void winogradStrips(const Gather& g, const WinogradPlan& plan, const float* weights,
                    const float* bias);
void winogradPointwise(const Gather& g, const WinogradPlan& plan, const float* weights,
                       const float* bias, Context& cx);
void runWinograd(const Gather& g, Context& cx);

}  // namespace rvx::cpu
