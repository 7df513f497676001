#include "cpu/winograd_plan.h"

#include <algorithm>

#include "cpu/gather_plan.h"
#include "cpu/isa/gather_tile.h"

namespace rvx::cpu {
namespace {

// A ring of transformed planes shall stay in the second cache.
constexpr int64_t kRingBytes = 640 << 10;
constexpr int64_t kTasks = 48, kFewTasks = 8;
// Point by point: weights that no second cache holds, sooner where tiles are few, while the transformed
// tensors are no burden.
constexpr int64_t kStripWeightBytes = 4 << 20, kDeepWeightBytes = 1 << 20, kDeepTiles = 256;
constexpr int64_t kPointsBytes = 256 << 20;
// Fewer rows to a product would read the weights too often.
constexpr int64_t kRows = 16;
// Lattices, and samples, whose products are formed together: so many rows, while what they multiply stays near.
constexpr int64_t kGroupRows = 128, kGroupBytes = 1 << 20;

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

bool winogradFits(const Gather& g) {
  for (const GatherAxis& a : g.axes)
    if (a.step != 1 || a.spread != 1 || a.start != 0 || a.offset.size() != 3 ||
        a.offset[1] <= a.offset[0] || a.offset[2] - a.offset[1] != a.offset[1] - a.offset[0])
      return false;
  return g.parts.size() == 1 && g.kernel == Int3{3, 3, 3};
}

Int3 dilationOf(const Gather& g) {
  Int3 d;
  for (size_t a = 0; a < 3; ++a) d[a] = g.axes[a].offset[1] - g.axes[a].offset[0];
  return d;
}

WinogradPlan::WinogradPlan(const Gather& g, int64_t firstChannel, int64_t channelCount,
                           const Order* given)
    : lanes(RVX_ISA_CALL(vectorLanes)()),
      firstChannel(firstChannel),
      channelCount(channelCount),
      lattices(dilationOf(g), g.outSize),
      count(g.samples * lattices.all()),
      outputs(lattices.largest(g.outSize)),
      tilesH(ceilDivide(outputs[1], kWinogradTile)),
      tilesW(ceilDivide(outputs[2], kWinogradTile)),
      cin(g.cin()),
      blocks(ceilDivide(cin, kWinogradBlock)),
      run(blocks == 1 ? cin : kWinogradBlock) {
  while (couts < channelCount) {
    const int NV = channelCount - couts > lanes ? 2 : 1;
    outBlocks.push_back({NV, couts});
    couts += NV * lanes;
  }
  const int64_t pairs = ceilDivide(outputs[0], 2), tiles = 2 * pairs * tilesH * tilesW;
  const int64_t workBytes =
      count * tiles * kWinogradPoints * (blocks * kWinogradBlock + couts) * int64_t(sizeof(float));
  const bool deep = weightFloats() * int64_t(sizeof(float)) >
                    (tiles <= kDeepTiles ? kDeepWeightBytes : kStripWeightBytes);
  order = given ? *given : deep && workBytes <= kPointsBytes ? Order::points : Order::strips;
  if (order == Order::strips) {
    splitStrips();
  } else {
    const int64_t one = pairs * tilesH * tilesW;
    const int64_t rowBytes = 4 * (blocks * kWinogradBlock + couts) * int64_t(sizeof(float));
    group = std::clamp<int64_t>(std::min(kGroupRows, kGroupBytes / rowBytes) / one, 1, count);
    rows = group * one;
  }
  tileRows();
}

void WinogradPlan::splitStrips() {
  const int64_t planes = outputs[0];
  const auto ring = [&](int64_t tileRows) {
    return 4 * kWinogradPoints * tileRows * tilesW * blocks * kWinogradBlock *
           int64_t(sizeof(float));
  };
  while (stripTileRows < tilesH && stripTiles() < kRows && ring(stripTileRows + 1) <= kRingBytes)
    ++stripTileRows;
  strips = ceilDivide(tilesH, stripTileRows);
  stripTileRows = ceilDivide(tilesH, strips);
  // Each chunk transforms two input planes more than it has outputs.
  const auto wanted = [&](int64_t tasks, int64_t shortest) {
    return std::min(ceilDivide(tasks, count * strips), planes / shortest);
  };
  chunks = std::max({int64_t{1}, wanted(kTasks, 16), wanted(kFewTasks, 4)});
  chunkPlanes = ceilDivide(ceilDivide(planes, chunks), 2) * 2;
  chunks = ceilDivide(planes, chunkPlanes);
  rows = stripTiles();
}

void WinogradPlan::tileRows() {
  for (int NV : {1, 2}) {
    int64_t at = 0;
    for (int S : splitRow(rows, NV, RVX_ISA_CALL(winogradTileSizes)(NV))) {
      tiles[NV].push_back({at, RVX_ISA_CALL(winogradTile)(NV, S)});
      at += S;
    }
    paddedRows = std::max(paddedRows, at);
    // Weights of a pass stay in the first cache while the rows go by.
    const int64_t budget = lanes == 16 ? 32 << 10 : 20 << 10;
    blocksPerPass[NV] = std::max<int64_t>(1, budget / (run * NV * lanes * int64_t(sizeof(float))));
  }
}

WinogradSource WinogradPlan::source(const Gather& g) const {
  const auto& a = g.axes;
  return {g.sources, g.inSize, g.slope, {a[0].offset[0], a[1].offset[0], a[2].offset[0]},
          lattices,  tilesW,   blocks};
}

Lattice WinogradSource::lattice(int64_t n) const {
  Lattice l;
  l.sample = lattices.sample(n);
  l.step = lattices.step;
  const Int3 place = lattices.place(n);
  for (size_t a = 0; a < 3; ++a) {
    const int64_t at = place[a] + first[a], step = l.step[a];
    l.origin[a] = (at % step + step) % step;
    l.first[a] = (at - l.origin[a]) / step;
    l.size[a] = size[a] > l.origin[a] ? ceilDivide(size[a] - l.origin[a], step) : 0;
  }
  return l;
}

void WinogradPlan::multiply(const float* in, const int64_t* offsets, const float* weights,
                            float* out) const {
  for (const OutBlock& b : outBlocks) {
    const int64_t width = b.NV * lanes, most = blocksPerPass[b.NV];
    const float* w = weights + b.first * channels();
    WinogradTile tile;
    tile.run = run;
    tile.outStride = couts;
    for (int64_t begin = 0; begin < blocks; begin += most) {
      tile.offsets = offsets + begin;
      tile.blocks = std::min(most, blocks - begin);
      tile.weight = w + begin * run * width;
      tile.add = begin > 0;
      for (const Tile& t : tiles[b.NV]) {
        tile.in = in + t.at * kWinogradBlock;
        tile.out = out + t.at * couts + b.first;
        t.run(tile);
      }
    }
  }
}

}  // namespace rvx::cpu
