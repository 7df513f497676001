#include "cpu/gather_plan.h"

#include <algorithm>

namespace rvx::cpu {
namespace {

// A packed strip shall stay in the second cache (512 KB and more), a pass's weights in the first.
constexpr int64_t kStripBytes = 640 << 10;
constexpr int64_t kRowsPerBlock = 8;
constexpr int64_t kTasks = 48, kFewTasks = 16;
// Fewer voxels than this to a step would read the weights too often.
constexpr int64_t kVoxelsPerStep = 192;

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

}  // namespace

std::vector<int> splitRow(int64_t width, int NV, const int* sizes) {
  std::vector<double> cost(size_t(width) + 1, 0);
  std::vector<int> choice(size_t(width) + 1, 0);
  for (int64_t w = 1; w <= width; ++w) {
    cost[size_t(w)] = 1e30;
    for (const int* s = sizes; *s; ++s) {
      const double cycles = 1 + std::max({4.0, *s * NV / 2.0, (*s + NV) / 2.0});
      const double total = cycles + cost[size_t(std::max<int64_t>(0, w - *s))];
      if (total <= cost[size_t(w)]) cost[size_t(w)] = total, choice[size_t(w)] = *s;
    }
  }
  std::vector<int> tiles;
  for (int64_t w = width; w > 0; w -= tiles.back()) tiles.push_back(choice[size_t(w)]);
  return tiles;
}

GatherPlan::GatherPlan(const Gather& g) : lanes(RVX_ISA_CALL(vectorLanes)()) {
  packed.interleave = chooseInterleave(lanes, g.cout, g.axes[1].outputs);
  chooseChannels(g);
  placeTaps(g);
  tileRows(g);
  splitWork(g);
}

int chooseInterleave(int lanes, int64_t channels, int64_t rows) {
  if (lanes < 8) return 1;
  int chosen = 1;
  double best = 0;
  rows = std::max<int64_t>(1, rows);
  for (auto [p, speed] : {std::pair{1, 1.0}, {2, 0.92}, {4, 0.8}}) {
    const int64_t part = lanes / p;
    const double used = double(channels) / double(ceilDivide(channels, part) * part) *
                        double(rows) / double(ceilDivide(rows, p) * p) * speed;
    if (used > best) best = used, chosen = p;
  }
  return chosen;
}

void GatherPlan::chooseChannels(const Gather& g) {
  const int64_t cin = g.cin();
  const GatherAxis& w = g.axes[2];
  int64_t block;  // floats of a column, per interleaved row
  if (cin <= 4 && packed.interleave <= 2) {
    thin = true;
    block = cin == 3 ? 4 : cin;
    const int64_t voxel = block * w.step;
    bool consecutive = block == cin && w.offset.size() > 1 && voxel <= 4 && voxel != 3;
    for (size_t t = 1; t < w.offset.size(); ++t)
      consecutive = consecutive && w.offset[t] == w.offset[t - 1] + 1;
    merged = consecutive;
    mergedRun = int64_t(w.offset.size()) * cin;
  } else if (packed.interleave == 4) {
    block = 16;
  } else {
    block = cin <= 8 ? 8 : cin <= 16 || packed.interleave == 2 ? 16 : 32;
  }
  packed.columnFloats = block * packed.interleave;
  for (int64_t c = 0; c < cin; c += block) packed.blocks.push_back({c, std::min(block, cin - c)});

  const auto taps = int64_t(g.axes[0].offset.size() * g.axes[1].offset.size() * w.offset.size());
  const int64_t part = lanes / packed.interleave;
  for (size_t p = 0; p < g.parts.size(); ++p)
    for (int64_t first = 0; first < g.cout;) {
      const int NV = !thin && packed.interleave < 4 && g.cout - first > part ? 2 : 1;
      const int64_t count = std::min(NV * part, g.cout - first);
      outBlocks.push_back({NV, p, first, count, weightFloats, biasFloats});
      weightFloats += taps * cin * NV * lanes;
      biasFloats += NV * lanes;
      first += count;
    }
}

void GatherPlan::placeTaps(const Gather& g) {
  int64_t least[3];
  for (size_t a = 0; a < 3; ++a) {
    const auto& offsets = g.axes[a].offset;
    const auto [low, high] = std::minmax_element(offsets.begin(), offsets.end());
    least[a] = offsets.empty() ? 0 : *low;
    extent[a] = offsets.empty() ? 0 : *high - *low;
  }
  packed.firstPlane = least[0];
  firstRow = least[1];
  packed.firstColumn = least[2];
  const GatherAxis& w = g.axes[2];
  packed.phases = merged ? 1 : w.step;
  voxelFloats = merged ? packed.columnFloats * w.step : packed.columnFloats;
  for (size_t d = 0; d < g.axes[0].offset.size(); ++d)
    for (size_t h = 0; h < g.axes[1].offset.size(); ++h)
      for (size_t k = 0; k < (merged ? 1 : w.offset.size()); ++k) {
        const int64_t column = w.offset[k] - least[2];
        taps.push_back({int64_t(d), int64_t(h), int64_t(k), g.axes[1].offset[h] - least[1],
                        merged ? 0 : column});
      }
  if (w.offset.empty()) taps.clear();
  tapsPerPlane = taps.empty() ? 0 : int64_t(taps.size()) / int64_t(g.axes[0].offset.size());
}

void GatherPlan::tileRows(const Gather& g) {
  int64_t widest = 0;
  for (int NV : {1, 2}) {
    if (std::none_of(outBlocks.begin(), outBlocks.end(),
                     [&](const OutBlock& b) { return b.NV == NV; }))
      continue;
    for (int S : splitRow(g.axes[2].outputs, NV, RVX_ISA_CALL(tileSizes)(NV, thin))) {
      const TileFunction run =
          RVX_ISA_CALL(findTile)(TileKind{packed.interleave, NV, S, int(voxelFloats)});
      require(run != nullptr, "InternalError", "A convolution has no tile for its plan");
      tiles[NV].push_back({tiledWidth[NV], run});
      tiledWidth[NV] += S;
    }
    widest = std::max(widest, tiledWidth[NV]);
  }
  const int64_t step = g.axes[2].step;
  if (packed.phases == 1) {
    packed.phaseSize = packed.columns = (widest - 1) * (merged ? step : 1) + extent[2] + 1;
  } else {
    packed.phaseSize = widest + extent[2] / step;
    packed.columns = packed.phases * packed.phaseSize;
  }
  for (Tap& t : taps)
    t.column = t.column % packed.phases * packed.phaseSize + t.column / packed.phases;
  packed.rowFloats = ceilDivide(packed.columns * packed.columnFloats, 16) * 16;
}

void GatherPlan::splitWork(const Gather& g) {
  const GatherAxis &d = g.axes[0], &h = g.axes[1];
  const auto strip = [&](int64_t rows, int64_t steps) {
    packed.rows = (ceilDivide(rows, packed.interleave) - 1) * h.step + extent[1] + 1;
    packed.planes = (steps - 1) * d.step + extent[0] + 1;
    return packed.planes * packed.planeFloats() * int64_t(sizeof(float));
  };
  int64_t rows =
      std::min(ceilDivide(h.outputs, packed.interleave), kRowsPerBlock) * packed.interleave;
  while (rows > packed.interleave && strip(rows, 1) > kStripBytes) rows -= packed.interleave;
  rowBlocks = ceilDivide(h.outputs, rows);
  rowsPerBlock = ceilDivide(h.outputs, rowBlocks);

  const int64_t blocks = g.samples * rowBlocks;
  const int64_t shortest = std::max<int64_t>(
      2 * extent[0] / d.step, ceilDivide(kVoxelsPerStep, rowsPerBlock * g.axes[2].outputs));
  planeChunks =
      std::clamp<int64_t>(ceilDivide(kTasks, blocks), 1,
                          std::max<int64_t>(1, d.outputs / std::max<int64_t>(1, shortest)));
  planesPerChunk = ceilDivide(d.outputs, planeChunks);
  planeChunks = ceilDivide(d.outputs, planesPerChunk);

  planesPerStep = 1;
  while (planesPerStep < planesPerChunk &&
         planesPerStep * rowsPerBlock * g.axes[2].outputs < kVoxelsPerStep &&
         strip(rowsPerBlock, planesPerStep + 1) <= 2 * kStripBytes)
    ++planesPerStep;
  strip(rowsPerBlock, planesPerStep);

  outGroups = std::clamp<int64_t>(ceilDivide(kFewTasks, blocks * planeChunks), 1,
                                  int64_t(outBlocks.size()));
}

int64_t GatherPlan::passes(const PackedLayout::Block& b, int NV) const {
  const int64_t budget = lanes == 16 ? 40 << 10 : 20 << 10;
  const int64_t bytes = int64_t(taps.size()) * run(b) * NV * lanes * int64_t(sizeof(float));
  return std::clamp<int64_t>(ceilDivide(bytes, budget), 1,
                             std::max<int64_t>(1, int64_t(taps.size())));
}

}  // namespace rvx::cpu
