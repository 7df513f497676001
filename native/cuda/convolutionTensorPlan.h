// How a tensor-core convolution is cut: which tile a block makes, what it holds in shared memory, how the sum is split. The one place
// where shapes choose.
//
// A warp makes rows of 16 output voxels (a patch of pw along W and 16 / pw along D), four rows along H times `depth` patches along D,
// times 8 * columns output channels. A block's warps lie side by side along D, H, W and the channels. Its input goes through shared
// memory in chunks of 16 channels: the halo tile as two planes [slot][8 channels], so that eight voxels side by side are 128
// contiguous bytes and an ldmatrix of any tap's shift meets no bank twice. One item is a product over 16: a tap's two planes.
//
// An up-sampled source is made in the halo's planes from its coarse voxels, held beside them with all their channels (TensorUpTile).
//
// Up to eight input channels are not padded to 16: there is one plane, an item is two taps, and where 8 / channels > 1 so many
// taps along W lie in one unit: slot w holds x[w], x[w + tapStep], .. (`packed` of them).
#pragma once
#include <optional>

#include "cuda/convolutionTensor.h"
#include "cuda/driver.h"
#include "math/portable.h"

namespace rvx::cuda {

constexpr int kTileRows = 4;    // along H, of a warp
constexpr int kTileWarps = 4;   // of a block
constexpr int kChunk = 16;      // channels of a step
constexpr int kUnitBytes = 16;  // 8 channels of a voxel, or of an output channel's weights

// The coarse voxels that a halo's are made of, as planes [8 channels][voxel]; none where there is no up-sampled source.
struct TensorUpTile {
  int haloD = 0, haloH = 0, haloW = 0;
  int pitch = 0;   // units of a plane
  int chunks = 0;  // of 32 channels, four planes each
  RVX_PORTABLE int voxels() const { return haloD * haloH * haloW; }
  RVX_PORTABLE int bytes() const { return chunks * 4 * pitch * kUnitBytes; }
};

// The sizes that kernels need; all in voxels or slots of 16 bytes.
struct TensorTile {
  int patchW = 16, patchD = 1;
  int warpsD = 1, warpsH = 1, warpsW = 1, warpsN = 1;
  int depth = 1, columns = 2;  // patches along D and n8 columns of a warp
  bool rowsShared = false;     // three taps along H share their loads
  bool paired = false;         // an item is two taps of up to eight channels
  int packed = 1;              // taps along W in a unit
  int sizeD = 1, sizeH = 1, sizeW = 1;
  int tilesD = 1, tilesH = 1, tilesW = 1;  // of a class
  // The halo: slot of input (d, h, w) of the tile is d * slice + h * pitch + w % phases * phase + w / phases.
  bool gathered = false;  // only one tap's input at a time: haloes that do not fit
  int haloD = 1, haloH = 1, haloW = 1;
  int stepD = 1, stepH = 1;     // slots from one output to the next; along W it is `phases`
  int tapsW = 1, tapStepW = 1;  // with packed taps counted once
  int rawStep = 1,
      rawPitch =
          0;  // of packed taps: input positions along W a slot, values in a row before they are packed
  int phases = 1, phase = 1, pitch = 1, slice = 1, slots = 1;
  int haloBuffers = 1, weightBuffers = 1;
  bool resident = false;                  // all weights stay while a block makes tile after tile
  int blocks = 1;                         // along x; each makes a run of tiles
  int channels8 = 2, firstChannels8 = 0;  // units of 8 input channels, those of the first source
  int items = 1, unitItems = 1, groupUnits = 1,
      groups = 1;             // items come in units, units in groups: one group's weights at a time
  int steps = 1, splits = 1;  // steps are chunks x groups; the blocks along z share them
  unsigned sharedBytes = 0;
  TensorUpTile up;

  RVX_PORTABLE int warpsM() const { return warpsD * warpsH * warpsW; }
  RVX_PORTABLE int threads() const { return 32 * warpsM() * warpsN; }
  RVX_PORTABLE int blockN() const { return 8 * columns * warpsN; }
  // Bytes of shared memory: the voxel of each slot; offsets [item][2] and weights' indices [item] of taps; values before packing or
  // coarse voxels.
  RVX_PORTABLE int voxelBytes() const { return packed > 1 ? 0 : slots * 4; }
  RVX_PORTABLE int tableBytes() const { return (voxelBytes() + items * 12 + 127) / 128 * 128; }
  RVX_PORTABLE int rawBytes() const {
    return packed > 1 ? (haloD * haloH * rawPitch * 2 + 127) / 128 * 128
                      : (up.bytes() + 127) / 128 * 128;
  }
  // Besides sharedBytes where the source is formed on load: five coefficients a channel.
  unsigned formedBytes() const { return static_cast<unsigned>(channels8 * 8 * 20); }
  RVX_PORTABLE int haloUnits() const { return paired ? slots : 2 * slots; }
};

// Output channels as packed: whole blocks. None where no tile fits into shared memory.
std::optional<TensorTile> planTensor(const TensorConvolution& c, const Chip& chip);

// The same tile where it makes the up-sampled source `c.up`; none where that cannot be done or does not pay.
std::optional<TensorTile> planUp(const TensorConvolution& c, const Chip& chip);

inline int positionsOf(const TensorAxis& a, int r = 0) {
  return a.out - a.start - r <= 0 ? 0 : (a.out - a.start - r + a.spread - 1) / a.spread;
}

}  // namespace rvx::cuda
