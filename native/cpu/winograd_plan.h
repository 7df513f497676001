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
// Dilated taps connect only voxels that lie a dilation apart: such a convolution is one of each of these lattices
// (d^3 of them with dilation d), which stand side by side as samples do.
//
// Known limits: strips are not cut along W, so the ring of wide rows (above about 256 voxels at 16
// channels) leaves the second cache; channels are padded to 16.
//
// Nothing here depends on the number of threads. A row's product runs over channels in one order
// whatever the tile, so each voxel's bits depend on nothing else.
#pragma once
#include <algorithm>
#include <vector>

#include "cpu/convolution.h"
#include "cpu/isa/winograd.h"

namespace rvx::cpu {

// Voxels `step` apart along each axis, from `origin` on. Taps of a dilated convolution connect only these, so each
// such lattice is a plain convolution of its own.
struct Lattice {
  int64_t sample;
  Int3 origin, step;
  Int3 size;   // voxels of it inside of the tensor
  Int3 first;  // of the input: where the first tap of the first output lies, in steps from `origin`

  // Float of a tensor's voxel (d, h, 0) of the lattice.
  int64_t row(const Int3& tensor, int64_t channels, int64_t d, int64_t h) const {
    const int64_t z = origin[0] + d * step[0], y = origin[1] + h * step[1];
    return (((sample * tensor[0] + z) * tensor[1] + y) * tensor[2] + origin[2]) * channels;
  }
};

// The lattices of a sample: `step` is the dilation, `count` how many of them have outputs along each axis.
struct Lattices {
  Int3 step{1, 1, 1}, count{1, 1, 1};

  Lattices() = default;
  Lattices(const Int3& dilation, const Int3& outputs) : step(dilation) {
    for (size_t a = 0; a < 3; ++a) count[a] = std::min(dilation[a], outputs[a]);
  }
  int64_t all() const { return count[0] * count[1] * count[2]; }
  int64_t sample(int64_t n) const { return n / all(); }
  // Place of the first output of lattice n.
  Int3 place(int64_t n) const {
    return {n / (count[1] * count[2]) % count[0], n / count[2] % count[1], n % count[2]};
  }
  // Outputs of the largest of them, which is the first.
  Int3 largest(const Int3& outputs) const {
    Int3 l;
    for (size_t a = 0; a < 3; ++a) l[a] = (outputs[a] + step[a] - 1) / step[a];
    return l;
  }
  // The outputs of lattice n.
  Lattice outputs(const Int3& outputs, int64_t n) const {
    Lattice l{sample(n), place(n), step, {}, {}};
    for (size_t a = 0; a < 3; ++a) l.size[a] = (outputs[a] - l.origin[a] + step[a] - 1) / step[a];
    return l;
  }
};

// What tiles of input are cut from: sources with norm on load, the voxel of the first tap of the first output, the
// tiles of a row, blocks of channels.
struct WinogradSource {
  const std::array<GatherSource, 2>& sources;
  const Int3& size;
  float slope;
  Int3 first;
  Lattices lattices;
  int64_t tilesW, blocks;

  // The input of lattice n.
  Lattice lattice(int64_t n) const;
  // Of the buffer that winogradInput wants.
  int64_t bufferFloats() const { return 6 * (tilesW * kWinogradTile + 2) * kWinogradBlock; }
};

struct WinogradPlan {
  enum class Order { strips, points };
  explicit WinogradPlan(const Gather& g) : WinogradPlan(g, 0, g.cout, nullptr) {}
  // Of output channels `firstChannel` to firstChannel + channelCount - 1 alone, point by point whatever their number.
  static WinogradPlan ofRange(const Gather& g, int64_t firstChannel, int64_t channelCount) {
    constexpr Order kPoints = Order::points;
    return WinogradPlan(g, firstChannel, channelCount, &kPoints);
  }

  Order order;
  int lanes;
  int64_t firstChannel, channelCount;

  Lattices lattices;
  int64_t count;           // of lattices of all samples
  Int3 outputs;            // of the largest lattice
  int64_t tilesH, tilesW;  // of a plane of it

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

  // Rows of a product: tiles of the strip, or of all pairs of planes of `group` lattices.
  int64_t rows = 0, paddedRows = 0, group = 1;
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
  Lattice output(const Gather& g, int64_t n) const { return lattices.outputs(g.outSize, n); }

  // out[row][couts] = in[row] * weights, with block b of channels at in + offsets[b].
  void multiply(const float* in, const int64_t* offsets, const float* weights, float* out) const;

 private:
  WinogradPlan(const Gather& g, int64_t firstChannel, int64_t channelCount, const Order* given);
  void splitStrips();
  void tileRows();
};

// Whether `g` is what the above computes: 3^3, stride 1, any dilation.
bool winogradFits(const Gather& g);
// Of a gather that fits.
Int3 dilationOf(const Gather& g);

// The weights of `g` as the plan wants them, and the bias as `couts` floats.
void winogradWeights(const Gather& g, const WinogradPlan& plan, float* weights);
std::vector<float> winogradBias(const Gather& g, const WinogradPlan& plan);

// Transforms a row of tiles of plane z, inside, of a lattice of the source. Block b of channels goes to out +
// b * blockStride.
void winogradInput(const WinogradSource& source, const Lattice& lattice, int64_t z, int64_t tileRow,
                   float* out, int64_t pointStride, int64_t blockStride, float* buffer);

// Transforms a row of tiles of plane d of an output lattice back and stores it; returns the number of voxels.
// `moments`: mean [couts], then sum of squared deviations [couts]; or nullptr.
int64_t winogradOutput(const Gather& g, const WinogradPlan& plan, const Lattice& lattice, int64_t d,
                       int64_t tileRow, const float* in, int64_t pointStride, const float* bias,
                       float* moments);

void winogradStrips(const Gather& g, const WinogradPlan& plan, const float* weights,
                    const float* bias);

// The input of `g` by the order of points, transformed once for any number of ranges of output channels.
class WinogradInput {
 public:
  WinogradInput(const Gather& g, const WinogradPlan& plan, Context& cx);
  // Output channels of `plan`.
  void multiply(const WinogradPlan& plan, const float* weights, const float* bias,
                Context& cx) const;

 private:
  const Gather& g_;
  int64_t inPlanes_, inFloats_, blockStride_, pointStride_;
  Workspace input_;
};
void runWinograd(const Gather& g, Context& cx);

}  // namespace rvx::cpu
