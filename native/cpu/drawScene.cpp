// drawScene: a scene of primitives on a grid (ops/drawing.h).
//
// Work: some 30 FLOPs for each voxel and primitive that may paint it, then hashes for texture, once a voxel. The grid is cut into blocks of
// 4 x 4 x 16 voxels, all of whose state lies in the nearest cache. A block is touched by the primitives whose boxes, widened by what the
// deformation does near them, reach it; of these the ones are left out whose distance to the whole block is too great, or that paint over none
// of the tissues in it. Each block is painted with the rest in their order, so nothing depends on the number of threads. Split by bars of
// blocks along W.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/pool.h"
#include "cpu/scene_block.h"
#include "cpu/scene_reach.h"
#include "ops/ops.h"
#include "ops/sceneFrame.h"

namespace rvx::cpu {
namespace {

struct Placed {
  const float* row;
  VoxelRange range;  // that it may touch
  uint32_t over;     // bit t: paints over tissue t
  bool fixed;
  SceneReach reach;
};

// Least and most of u at all points of a box (mm).
void bounds(const DisplacementField& field, const double* low, const double* high, double* least,
            double* most) {
  int64_t from[3], to[3];
  field.nodesRound(low, high, from, to);
  float a[3] = {1e30f, 1e30f, 1e30f}, b[3] = {-1e30f, -1e30f, -1e30f};
  for (int64_t z = from[2]; z <= to[2]; ++z)
    for (int64_t y = from[1]; y <= to[1]; ++y) {
      const float* p = field.data + 3 * ((z * field.n[1] + y) * field.n[0] + from[0]);
      for (int64_t x = from[0]; x <= to[0]; ++x, p += 3)
        for (int k = 0; k < 3; ++k) a[k] = std::min(a[k], p[k]), b[k] = std::max(b[k], p[k]);
    }
  for (int k = 0; k < 3; ++k) least[k] = a[k], most[k] = b[k];
}

std::vector<Placed> place(const DrawScene& op, const SceneFrame& frame) {
  const float* rows = op.primitives.data();
  const DisplacementField& field = frame.field;
  double leastAll[3] = {0, 0, 0}, mostAll[3] = {0, 0, 0};
  const double everywhere[2][3] = {{-1e9, -1e9, -1e9}, {1e9, 1e9, 1e9}};
  if (field.data) bounds(field, everywhere[0], everywhere[1], leastAll, mostAll);
  const auto inSlices = [&](const double* low, const double* high) {
    VoxelRange range = voxelsIn(low, high, frame.toIndex.data(), op.shape.data());
    range.from[0] = std::max(range.from[0], op.sliceFrom);
    range.to[0] = std::min(range.to[0], op.sliceTo);
    return range;
  };
  std::vector<Placed> placed;
  for (int64_t p = 0; p < op.primitives.shape()[0]; ++p) {
    const float* row = rows + p * kPrimitiveSize;
    const Brush brush(row, frame.voxel);
    double low[3], high[3];
    primitiveBox(row, brush.margin(), low, high);
    const bool displaced = field.data && !brush.fixed;
    double from[3], to[3];
    for (int k = 0; k < 3; ++k) {
      from[k] = displaced ? low[k] - mostAll[k] : low[k];
      to[k] = displaced ? high[k] - leastAll[k] : high[k];
    }
    VoxelRange range = inSlices(from, to);
    if (!range.any()) continue;
    if (displaced) {
      // q + u(q) in the box: q lies in the box less the extremes of u there.
      double least[3], most[3];
      bounds(field, from, to, least, most);
      for (int k = 0; k < 3; ++k) low[k] -= most[k], high[k] -= least[k];
      range = inSlices(low, high);
      if (!range.any()) continue;
    }
    placed.push_back({row, range, brush.over ? brush.over : ~0u, field.data && brush.fixed,
                      SceneReach(row, brush.margin())});
  }
  return placed;
}

class Painter {
 public:
  Painter(const DrawScene& op, const SceneFrame& frame, const std::vector<Placed>& placed)
      : op_(op), frame_(frame), placed_(placed) {
    for (int k = 0; k < 3; ++k) blocks_[k] = (op.shape[k] + kSize[k] - 1) / kSize[k];
  }

  int64_t bars() const { return blocks_[0] * blocks_[1]; }

  // The blocks of a bar along W.
  void bar(int64_t index) const {
    auto& block = *static_cast<SceneBlock*>(threadScratch(0, sizeof(SceneBlock)));
    auto* touching =
        static_cast<const Placed**>(threadScratch(1, (placed_.size() + 1) * sizeof(const Placed*)));
    block.at[0] = index / blocks_[1] * kBlockDepth, block.at[1] = index % blocks_[1] * kBlockHeight;
    for (int k = 0; k < 2; ++k) block.n[k] = std::min(kSize[k], op_.shape[k] - block.at[k]);
    int64_t count = 0;
    for (const Placed& p : placed_)
      if (overlap(p, block, 0) && overlap(p, block, 1)) touching[count++] = &p;
    for (int64_t b = 0; b < blocks_[2]; ++b) {
      block.at[2] = b * kBlockWidth;
      block.n[2] = std::min(kBlockWidth, op_.shape[2] - block.at[2]);
      draw(block, touching, count);
      write(block);
    }
  }

 private:
  static constexpr int64_t kSize[3] = {kBlockDepth, kBlockHeight, kBlockWidth};

  static bool overlap(const Placed& p, const SceneBlock& block, int k) {
    return p.range.from[k] < block.at[k] + block.n[k] && p.range.to[k] > block.at[k];
  }

  void draw(SceneBlock& block, const Placed* const* touching, int64_t count) const {
    RVX_ISA_CALL(openBlock)(block, frame_.toMm, frame_.field);
    float centre[3], half[3];
    for (int k = 0; k < 3; ++k) {
      centre[k] = 0.5f * (block.low[k] + block.high[k]);
      // With room for rounding, far from the origin.
      half[k] = 0.5f * (block.high[k] - block.low[k]) +
                1e-5f * (std::abs(block.low[k]) + std::abs(block.high[k]));
    }
    for (int64_t i = 0; i < count; ++i) {
      const Placed& p = *touching[i];
      if (!(p.over & block.tissues) || !overlap(p, block, 2)) continue;
      if (p.fixed) {
        if (!block.fixed) RVX_ISA_CALL(fixBlock)(block, frame_.toMm);
      } else if (p.reach.misses(p.row, centre, half)) {
        continue;
      }
      paint(block, p);
    }
    RVX_ISA_CALL(textureBlock)(block, frame_.textures);
  }

  void paint(SceneBlock& block, const Placed& p) const {
    int64_t from[3], to[3];
    for (int k = 0; k < 3; ++k) {
      from[k] = std::max<int64_t>(p.range.from[k] - block.at[k], 0);
      to[k] = std::min(p.range.to[k] - block.at[k], block.n[k]);
    }
    const auto rows = [&](int64_t row, int64_t n) {
      RVX_ISA_CALL(paintBlock)(block, {row, n, from[2], to[2]}, p.row, frame_.voxel, p.fixed);
    };
    // All rows at once where none between is left out.
    if (from[1] == 0 && to[1] == kBlockHeight) {
      rows(from[0] * kBlockHeight, (to[0] - from[0]) * kBlockHeight);
    } else {
      for (int64_t d = from[0]; d < to[0]; ++d) rows(d * kBlockHeight + from[1], to[1] - from[1]);
    }
  }

  void write(const SceneBlock& block) const {
    float* hu = op_.hu.data();
    auto* label = op_.label.data<uint8_t>();
    auto* instance = op_.instance.data<uint8_t>();
    auto* tissue = op_.tissue.data<uint8_t>();
    for (int64_t d = 0; d < block.n[0]; ++d)
      for (int64_t h = 0; h < block.n[1]; ++h) {
        const int64_t from = (d * kBlockHeight + h) * kBlockWidth;
        const int64_t to =
            ((block.at[0] + d) * op_.shape[1] + block.at[1] + h) * op_.shape[2] + block.at[2];
        std::copy_n(block.hu + from, block.n[2], hu + to);
        std::copy_n(block.label + from, block.n[2], label + to);
        std::copy_n(block.instance + from, block.n[2], instance + to);
        if (tissue) std::copy_n(block.tissue + from, block.n[2], tissue + to);
      }
  }

  const DrawScene& op_;
  const SceneFrame& frame_;
  const std::vector<Placed>& placed_;
  int64_t blocks_[3];
};

}  // namespace

template <>
void run(const DrawScene& op, Context&) {
  const SceneFrame frame(op);
  const std::vector<Placed> placed = place(op, frame);
  const Painter painter(op, frame, placed);
  parallelFor(painter.bars(), [&](int64_t bar) { painter.bar(bar); });
}

}  // namespace rvx::cpu
