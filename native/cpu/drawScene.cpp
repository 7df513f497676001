// drawScene: a scene of primitives on a grid (ops/drawing.h).
//
// Work: for each primitive the voxels of its bounding box, widened by what the deformation does
// near it; some 30 FLOPs a voxel, then hashes for texture, once a voxel. Split by slices along D:
// each paints all primitives in their order, so nothing depends on the number of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/pool.h"
#include "cpu/scene_row.h"
#include "ops/ops.h"
#include "ops/sceneFrame.h"

namespace rvx::cpu {
namespace {

struct Placed {
  float row[kPrimitiveSize];
  VoxelRange range;  // that it may touch
};

// Least and most of u at all points of a box (mm).
void bounds(const DisplacementField& field, const double* low, const double* high, double* least,
            double* most) {
  int64_t from[3], to[3];
  field.nodesRound(low, high, from, to);
  for (int k = 0; k < 3; ++k) least[k] = 1e30, most[k] = -1e30;
  for (int64_t z = from[2]; z <= to[2]; ++z)
    for (int64_t y = from[1]; y <= to[1]; ++y)
      for (int64_t x = from[0]; x <= to[0]; ++x) {
        const float* p = field.data + 3 * ((z * field.n[1] + y) * field.n[0] + x);
        for (int k = 0; k < 3; ++k) {
          least[k] = std::min<double>(least[k], p[k]);
          most[k] = std::max<double>(most[k], p[k]);
        }
      }
}

std::vector<Placed> place(const DrawScene& op, const SceneFrame& frame) {
  const float* rows = op.primitives.data();
  const DisplacementField& field = frame.field;
  double leastAll[3] = {0, 0, 0}, mostAll[3] = {0, 0, 0};
  const double everywhere[2][3] = {{-1e9, -1e9, -1e9}, {1e9, 1e9, 1e9}};
  if (field.data) bounds(field, everywhere[0], everywhere[1], leastAll, mostAll);
  std::vector<Placed> placed;
  for (int64_t p = 0; p < op.primitives.shape()[0]; ++p) {
    Placed one;
    std::copy_n(rows + p * kPrimitiveSize, kPrimitiveSize, one.row);
    const Brush brush(one.row, frame.voxel);
    double low[3], high[3];
    primitiveBox(one.row, brush.margin(), low, high);
    if (field.data && !brush.fixed) {
      // q + u(q) in the box: q lies in the box less the extremes of u there.
      double from[3], to[3], least[3], most[3];
      for (int k = 0; k < 3; ++k) from[k] = low[k] - mostAll[k], to[k] = high[k] - leastAll[k];
      bounds(field, from, to, least, most);
      for (int k = 0; k < 3; ++k) low[k] -= most[k], high[k] -= least[k];
    }
    one.range = voxelsIn(low, high, frame.toIndex.data(), op.shape.data());
    if (one.range.any()) placed.push_back(one);
  }
  return placed;
}

// The arrays of one slice, in the scratch of its thread.
struct Slice {
  float *x, *y, *z;      // displaced points, mm
  float *fine, *coarse;  // SD of the textures, HU
  float* scratch;        // 5 rows
  uint8_t* tissue;

  static constexpr size_t bytes(size_t area, size_t row) {
    return sizeof(float) * 5 * (area + row) + area;
  }
  Slice(size_t area, size_t row) {
    auto* f = static_cast<float*>(threadScratch(0, bytes(area, row)));
    x = f, y = f + area, z = f + 2 * area, fine = f + 3 * area, coarse = f + 4 * area;
    scratch = f + 5 * area;
    tissue = reinterpret_cast<uint8_t*>(scratch + 5 * row);
  }
};

class Painter {
 public:
  Painter(const DrawScene& op, const SceneFrame& frame, const std::vector<Placed>& placed)
      : op_(op),
        frame_(frame),
        map_(frame.toMm),
        placed_(placed),
        height_(op.shape[1]),
        width_(op.shape[2]) {}

  void slice(int64_t d) const {
    const int64_t area = height_ * width_;
    float* hu = op_.hu.data() + d * area;
    uint8_t* label = op_.label.data<uint8_t>() + d * area;
    uint8_t* instance = op_.instance.data<uint8_t>() + d * area;
    uint8_t* tissueOut = op_.tissue.data<uint8_t>();
    std::fill_n(hu, area, kAir);
    std::fill_n(label, area, uint8_t{0});
    std::fill_n(instance, area, uint8_t{0});
    if (d < op_.sliceFrom || d >= op_.sliceTo) {
      if (tissueOut) std::fill_n(tissueOut + d * area, area, uint8_t{0});
      return;
    }
    Slice s(static_cast<size_t>(area), static_cast<size_t>(width_));
    std::fill_n(s.fine, 2 * area, 0.0f);
    std::fill_n(s.tissue, area, uint8_t{0});
    locate(d, s);
    for (const Placed& p : placed_) paint(d, p, s, hu, label, instance);
    for (int64_t h = 0; h < height_; ++h)
      RVX_ISA_CALL(textureRow)(rowOf(s, h, 0, width_, hu, label, instance), frame_.textures);
    if (tissueOut) std::copy_n(s.tissue, area, tissueOut + d * area);
  }

 private:
  void locate(int64_t d, Slice& s) const {
    const auto fd = static_cast<float>(d);
    for (int64_t h = 0, i = 0; h < height_; ++h)
      for (int64_t w = 0; w < width_; ++w, ++i) {
        const auto fh = static_cast<float>(h), fw = static_cast<float>(w);
        const float q[3] = {map_.at(0, fd, fh, fw), map_.at(1, fd, fh, fw), map_.at(2, fd, fh, fw)};
        float u[3] = {0, 0, 0};
        if (frame_.field.data) frame_.field.at(q, u);
        s.x[i] = q[0] + u[0], s.y[i] = q[1] + u[1], s.z[i] = q[2] + u[2];
      }
  }

  // The voxels of a row from w on, `n` of them.
  SceneRow rowOf(const Slice& s, int64_t h, int64_t w, int64_t n, float* hu, uint8_t* label,
                 uint8_t* instance) const {
    const int64_t at = h * width_ + w;
    return {n,          s.x + at,      s.y + at,      s.z + at,
            hu + at,    s.fine + at,   s.coarse + at, s.tissue + at,
            label + at, instance + at, s.scratch};
  }

  void paint(int64_t d, const Placed& p, Slice& s, float* hu, uint8_t* label,
             uint8_t* instance) const {
    if (d < p.range.from[0] || d >= p.range.to[0]) return;
    const bool fixed = frame_.field.data && p.row[kFixed] != 0;
    const int64_t from = p.range.from[2], n = p.range.to[2] - from;
    float *x = s.scratch + 2 * width_, *y = x + width_, *z = y + width_;
    for (int64_t h = p.range.from[1]; h < p.range.to[1]; ++h) {
      const SceneRow row = rowOf(s, h, from, n, hu, label, instance);
      if (!fixed) {
        RVX_ISA_CALL(paintRow)(row, p.row, frame_.voxel, row.x, row.y, row.z);
        continue;
      }
      for (int64_t i = 0; i < n; ++i) {
        const auto fd = static_cast<float>(d), fh = static_cast<float>(h),
                   fw = static_cast<float>(from + i);
        x[i] = map_.at(0, fd, fh, fw), y[i] = map_.at(1, fd, fh, fw), z[i] = map_.at(2, fd, fh, fw);
      }
      RVX_ISA_CALL(paintRow)(row, p.row, frame_.voxel, x, y, z);
    }
  }

  const DrawScene& op_;
  const SceneFrame& frame_;
  const IndexToMm& map_;
  const std::vector<Placed>& placed_;
  const int64_t height_, width_;
};

}  // namespace

template <>
void run(const DrawScene& op, Context&) {
  const SceneFrame frame(op);
  const std::vector<Placed> placed = place(op, frame);
  const Painter painter(op, frame, placed);
  parallelFor(op.shape[0], [&](int64_t d) { painter.slice(d); });
}

}  // namespace rvx::cpu
