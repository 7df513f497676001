// resampleArgmax: label of each output voxel = argmax over c of the C logits interpolated at A o.
//
// A class c > 0 can only win where it exceeds class 0 at one of the eight corners at least: sums and
// products of floats are monotone, so this holds for the rounded values too. One pass over the logits
// therefore notes, for each of their rows, the range of voxels in which a class exceeds class 0; the
// output outside these ranges is 0 without a look. Inside, affines without rotation or shear blend
// the four rows of logits once for a whole output row; others gather eight corners a voxel.
// Bytes: the logits once, one byte a voxel of the output. Never a float at the output's size.
// Work is split by planes of the output.
#include <algorithm>
#include <cstring>
#include <memory>

#include "core/pool.h"
#include "cpu/axes.h"
#include "cpu/isa/blur.h"
#include "math/affine.h"
#include "math/labelling.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

struct Range {
  int32_t from, to;
  bool empty() const { return from >= to; }
};

// From class or component to what is written.
class Labels {
 public:
  explicit Labels(const ArgmaxLabels& op) {
    for (double v : op.labels) table_.push_back(static_cast<int32_t>(v));
    if (op.table)
      for (int64_t i = 0; i < op.table.shape().size(); ++i)
        table_.push_back(op.table.dtype() == DType::u8 ? op.table.data<uint8_t>()[i]
                                                       : op.table.data<int32_t>()[i]);
    given_ = op.table || !op.labels.empty();
  }
  uint8_t of(int64_t k) const {
    if (given_) k = k >= 0 && k < int64_t(table_.size()) ? table_[size_t(k)] : 0;
    return static_cast<uint8_t>(std::clamp<int64_t>(k, 0, 255));
  }

 private:
  std::vector<int32_t> table_;
  bool given_;
};

// The logits' grid, in the output's order of axes.
struct Grid {
  const float* logits;
  const uint8_t* components8 = nullptr;  // one of them at most
  const int32_t* components32 = nullptr;
  Int3 size;
  int64_t classes;

  bool hasComponents() const { return components8 || components32; }
  int64_t component(int64_t voxel) const {
    return components8 ? components8[voxel] : components32[voxel];
  }
};

// For each row of logits the voxels in which some class exceeds class 0.
void findForeground(const Grid& g, Range* rows) {
  const int64_t c = g.classes, w = g.size[2];
  parallelFor(g.size[0], [&](int64_t d) {
    for (int64_t r = d * g.size[1]; r < (d + 1) * g.size[1]; ++r) {
      const float* row = g.logits + r * w * c;
      const auto foreground = [&](int64_t i) {
        const float* v = row + i * c;
        for (int64_t k = 1; k < c; ++k)
          if (v[k] > v[0]) return true;
        return false;
      };
      int64_t from = 0, to = w;
      while (from < to && !foreground(from)) ++from;
      while (to > from && !foreground(to - 1)) --to;
      rows[r] = {static_cast<int32_t>(from), static_cast<int32_t>(to)};
    }
  });
}

class Painter {
 public:
  Painter(const Grid& grid, const Affine& affine, const Int3& out, const Labels& labels,
          const Range* rows, uint8_t* y, bool into)
      : g_(grid), m_(affine), out_(out), labels_(labels), rows_(rows), y_(y), into_(into) {}

  void separable(const AxisMap& map) const {
    parallelFor(out_[0], [&](int64_t d) {
      const double pd = map.scale[0] * double(d) + map.shift[0];
      for (int64_t h = 0; h < out_[1]; ++h) {
        uint8_t* row = y_ + (d * out_[1] + h) * out_[2];
        if (!into_) std::memset(row, 0, size_t(out_[2]));
        const double ph = map.scale[1] * double(h) + map.shift[1];
        if (!insideGrid(pd, g_.size[0]) || !insideGrid(ph, g_.size[1])) continue;
        blendedRow(cellAt(pd, g_.size[0], true), cellAt(ph, g_.size[1], true), map, row);
      }
    });
  }

  void general() const {
    // The box of all foreground, one voxel wider: nothing else can be labelled.
    int64_t low[3] = {g_.size[0], g_.size[1], g_.size[2]}, high[3] = {-1, -1, -1};
    for (int64_t r = 0; r < g_.size[0] * g_.size[1]; ++r) {
      if (rows_[r].empty()) continue;
      const int64_t at[3] = {r / g_.size[1], r % g_.size[1], rows_[r].from};
      const int64_t last[3] = {at[0], at[1], rows_[r].to - 1};
      for (size_t a = 0; a < 3; ++a) {
        low[a] = std::min(low[a], at[a]);
        high[a] = std::max(high[a], last[a]);
      }
    }
    const Real3 step{m_[2], m_[6], m_[10]};
    parallelFor(out_[0], [&](int64_t d) {
      for (int64_t h = 0; h < out_[1]; ++h) {
        uint8_t* row = y_ + (d * out_[1] + h) * out_[2];
        if (!into_) std::memset(row, 0, size_t(out_[2]));
        Real3 base;
        int64_t from = 0, to = out_[2];
        for (size_t a = 0; a < 3; ++a) {
          base[a] = rowStart(m_.data(), int(a), double(d), double(h));
          narrowRange(base[a], step[a], double(low[a] - 1), double(high[a] + 1), from, to);
        }
        if (high[0] < 0) continue;
        for (int64_t o = from; o < to; ++o) {
          Cell cell[3];
          bool inside = true;
          for (size_t a = 0; a < 3; ++a) {
            const double p = base[a] + step[a] * double(o);
            inside = inside && insideGrid(p, g_.size[a]);
            cell[a] = cellAt(p, g_.size[a], true);
          }
          if (inside) paint(cornerClass(cell), cell, row + o);
        }
      }
    });
  }

 private:
  void paint(int64_t k, const Cell (&cell)[3], uint8_t* voxel) const {
    if (k == 0) return;
    if (g_.hasComponents())
      k = nearestComponent(cell, [&](int corner) {
        return g_.component(cornerVoxel(cell, corner, g_.size[1], g_.size[2]));
      });
    const uint8_t label = labels_.of(k);
    if (label != 0) *voxel = label;
  }

  int64_t cornerClass(const Cell (&cell)[3]) const {
    const float* corners[8];
    float weight[8];
    for (int i = 0; i < 8; ++i) {
      corners[i] = g_.logits + cornerVoxel(cell, i, g_.size[1], g_.size[2]) * g_.classes;
      weight[i] = cornerWeight(cell, i);
    }
    return greatestClass(g_.classes, [&](int64_t k) {
      float v = 0;
      for (int i = 0; i < 8; ++i) v += weight[i] * corners[i][k];
      return v;
    });
  }

  void blendedRow(const Cell& d, const Cell& h, const AxisMap& map, uint8_t* row) const {
    const int64_t c = g_.classes, w = g_.size[2];
    const int64_t index[4] = {d.low * g_.size[1] + h.low, d.low * g_.size[1] + h.high,
                              d.high * g_.size[1] + h.low, d.high * g_.size[1] + h.high};
    const float weight[4] = {(1 - d.fraction) * (1 - h.fraction), (1 - d.fraction) * h.fraction,
                             d.fraction * (1 - h.fraction), d.fraction * h.fraction};
    int64_t first = w, last = -1;
    for (const int64_t i : index)
      if (!rows_[i].empty()) {
        first = std::min<int64_t>(first, rows_[i].from);
        last = std::max<int64_t>(last, rows_[i].to - 1);
      }
    if (last < first) return;
    // Outputs between the neighbours of that range see it.
    const double low = double(first - 1), high = double(last + 1);
    int64_t from = 0, to = out_[2];
    narrowRange(map.shift[2], map.scale[2], low, high, from, to);
    const int64_t begin = std::max<int64_t>(first - 3, 0), end = std::min(last + 4, w);
    auto* blend = static_cast<float*>(threadScratch(0, size_t(w * c) * sizeof(float)));
    const float* rows[4];
    for (size_t i = 0; i < 4; ++i) rows[i] = g_.logits + (index[i] * w + begin) * c;
    RVX_ISA_CALL(weightedRows)(rows, weight, 4, (end - begin) * c, blend + begin * c);
    for (int64_t o = from; o < to; ++o) {
      const double p = map.scale[2] * double(o) + map.shift[2];
      if (p < low || p > high || !insideGrid(p, w)) continue;
      const Cell cell[3] = {d, h, cellAt(p, w, true)};
      const float* a = blend + cell[2].low * c;
      const float* b = blend + cell[2].high * c;
      const float wb = cell[2].fraction, wa = 1 - wb;
      const int64_t best = greatestClass(c, [&](int64_t k) { return wa * a[k] + wb * b[k]; });
      paint(best, cell, row + o);
    }
  }

  Grid g_;
  Affine m_;
  Int3 out_;
  const Labels& labels_;
  const Range* rows_;
  uint8_t* y_;
  bool into_;
};

void label(const Input& logits, const ArgmaxLabels& op, const Int3& out, uint8_t* y, bool into,
           Context& cx) {
  const Shape& s = logits.shape();
  const Affine affine = affineOf(op.map, op.affine, 0);
  Grid g{logits.data(), nullptr, nullptr, {s[1], s[2], s[3]}, s[4]};
  if (op.components && op.components.dtype() == DType::u8)
    g.components8 = op.components.data<uint8_t>();
  else
    g.components32 = op.components.data<int32_t>();

  AxisMap map;
  const bool aligned = isAxisMap(affine, out, &map);
  std::unique_ptr<Workspace> turnedLogits, turnedComponents;
  if (aligned && !map.identityOrder()) {
    // Turned once, so that the rows of the logits run along those of the output.
    std::array<int, 3> source{};
    AxisMap straight;
    Int3 size{};
    for (size_t a = 0; a < 3; ++a) {
      const auto o = size_t(map.order[a]);
      source[o] = int(a);
      size[o] = g.size[a];
      straight.scale[o] = map.scale[a];
      straight.shift[o] = map.shift[a];
    }
    const size_t bytes = size_t(g.classes) * sizeof(float);
    const size_t voxels = size_t(s[1] * s[2] * s[3]);
    turnedLogits = std::make_unique<Workspace>(cx, voxels * bytes);
    permuteAxes(g.logits, turnedLogits->data(), size, source, bytes);
    g.logits = turnedLogits->data();
    if (op.components) {
      const size_t width = sizeOf(op.components.dtype());
      turnedComponents = std::make_unique<Workspace>(cx, voxels * width);
      permuteAxes(op.components.data<char>(), turnedComponents->data<char>(), size, source, width);
      if (g.components8) g.components8 = turnedComponents->data<uint8_t>();
      if (g.components32) g.components32 = turnedComponents->data<int32_t>();
    }
    g.size = size;
    map = straight;
  }
  Workspace rows(cx, size_t(g.size[0] * g.size[1]) * sizeof(Range));
  findForeground(g, rows.data<Range>());
  const Labels labels(op);
  const Painter painter(g, affine, out, labels, rows.data<Range>(), y, into);
  if (aligned)
    painter.separable(map);
  else
    painter.general();
}

}  // namespace

template <>
void run(const ResampleArgmax& op, Context& cx) {
  label(op.logits, op.labelling, op.size, op.y.data<uint8_t>(), false, cx);
}

template <>
void run(const ResampleArgmaxInto& op, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.into.shape(), "into");
  label(op.logits, op.labelling, {s[1], s[2], s[3]}, op.into.data<uint8_t>(), true, cx);
}

}  // namespace rvx::cpu
