#include <algorithm>

#include "cpu/gather_plan.h"
#include "cpu/isa/winograd.h"
#include "cpu/winograd_stem.h"

namespace rvx::cpu {
namespace {

// A ring of transformed planes, the weights of all points beside it, shall stay in the second cache.
constexpr int64_t kRingBytes = 400 << 10;
constexpr int64_t kTasks = 48, kFewTasks = 8;
// Tiles of a group are transformed along H where their products lie, and wait for those along W, in the
// first cache.
constexpr int64_t kGroupBytes = 32 << 10;

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

bool axisFits(const GatherAxis& a) {
  for (size_t t = 1; t < a.offset.size(); ++t)
    if (a.offset[t] != a.offset[0] + int64_t(t)) return false;
  return !a.offset.empty() &&
         kStemTile + ceilDivide(int64_t(a.offset.size()), a.step) - 1 <= kStemMostPoints;
}

}  // namespace

bool stemFits(const Gather& g) {
  for (const GatherAxis& a : g.axes)
    if (a.start != 0 || a.spread != 1) return false;
  return g.parts.size() == 1 && g.cin() <= kStemMostChannels && !g.axes[0].offset.empty() &&
         axisFits(g.axes[1]) && axisFits(g.axes[2]);
}

StemAxis::StemAxis(const GatherAxis& axis)
    : step(axis.step),
      taps(int64_t(axis.offset.size())),
      tiles(ceilDivide(axis.outputs, kStemTile)) {
  for (int64_t p = 0; p < std::min(step, taps); ++p) {
    const int64_t own = ceilDivide(taps - p, step);
    phases.push_back({own, int(kStemTile + own - 1), entries});
    entries += phases.back().points;
  }
  points = phases[0].points;
  entriesOf.resize(size_t(points));
  for (const Phase& p : phases)
    for (int a = 0; a < p.points; ++a)
      entriesOf[size_t(a + 1 < p.points ? a : points - 1)].push_back(p.entry + a);
}

StemPlan::StemPlan(const Gather& g)
    : lanes(RVX_ISA_CALL(vectorLanes)()), cin(g.cin()), h(g.axes[1]), w(g.axes[2]) {
  const auto planes = int64_t(g.axes[0].offset.size());
  for (const auto& columns : w.entriesOf)
    for (const auto& rows : h.entriesOf) {
      const int64_t perPlane = int64_t(rows.size() * columns.size()) * cin;
      points.push_back({perPlane, steps});
      steps += planes * perPlane;
    }
  while (couts < g.cout) {
    const int NV = g.cout - couts > lanes ? 2 : 1;
    outBlocks.push_back({NV, couts});
    couts += NV * lanes;
  }
  period = kStemTile * w.step;
  places = ceilDivide(w.reach(w.tiles), period);
  rowFloats = ceilDivide(period * places, kStemSlack) * kStemSlack;
  for (int64_t c = 0; c < w.reach(1); ++c) columnAt.push_back(c % period * places + c / period);
  splitStrips(g);
  stream = g.passesCaches();
  for (const auto& columns : w.entriesOf)
    for (const auto& rows : h.entriesOf)
      for (int eh : rows)
        for (int ew : columns)
          for (int64_t ci = 0; ci < cin; ++ci)
            stepAt.push_back(((ci * h.entries + eh) * w.entries + ew) * entryStride);
  for (const OutBlock& b : outBlocks)
    if (tiles[b.NV].empty()) groupTilesOf(b.NV);
}

void StemPlan::groupTilesOf(int NV) {
  const int64_t all = stripTileRows * w.tiles;
  const int64_t tileBytes = kStemTile * w.points * NV * lanes * int64_t(sizeof(float));
  const int64_t groups = ceilDivide(all, std::max<int64_t>(4, kGroupBytes / tileBytes / 4 * 4));
  groupTiles[NV] = ceilDivide(ceilDivide(all, groups), 4) * 4;
  for (int S : splitRow(groupTiles[NV], NV, RVX_ISA_CALL(winogradTileSizes)(NV))) {
    tiles[NV].push_back({paddedTiles[NV], RVX_ISA_CALL(stemTile)(NV, S)});
    paddedTiles[NV] += S;
  }
}

void StemPlan::splitStrips(const Gather& g) {
  const auto& offsets = g.axes[0].offset;
  const auto [low, high] = std::minmax_element(offsets.begin(), offsets.end());
  firstPlane = *low;
  slots = *high - *low + 1;
  const auto cut = [&](int64_t tileRows) {
    stripTileRows = tileRows;
    entryStride = ceilDivide(tileRows * w.tiles, kStemSlack) * kStemSlack + kStemSlack;
  };
  const auto fits = [&](int64_t tileRows) {
    cut(tileRows);
    return slots * planeFloats() * int64_t(sizeof(float)) <= kRingBytes;
  };
  int64_t most = 1;
  while (most < h.tiles && fits(most + 1)) ++most;
  strips = ceilDivide(h.tiles, most);
  cut(ceilDivide(h.tiles, strips));
  strips = ceilDivide(h.tiles, stripTileRows);
  // Each chunk transforms more input planes than its outputs have strides.
  const int64_t planes = g.axes[0].outputs;
  const auto wanted = [&](int64_t tasks, int64_t shortest) {
    return std::min(ceilDivide(tasks, g.samples * strips), planes / shortest);
  };
  chunks = std::max({int64_t{1}, wanted(kTasks, 16), wanted(kFewTasks, 4)});
  chunkPlanes = ceilDivide(planes, chunks);
  chunks = ceilDivide(planes, chunkPlanes);
}

}  // namespace rvx::cpu
