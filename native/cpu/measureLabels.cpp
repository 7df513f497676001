// measureLabels: size, centroid, box and greatest diameter of every label.
//
// The greatest (Feret) diameter is the largest distance between two voxel centres. Its ends are
// corners of the label's convex hull, so of each row only the first and last voxel can be one, and of
// each plane only the corners of the hull of those (Andrew's monotone chains, exact in integers). Of
// what is left, some dozen points a plane, pairs are tried from the outside in: sorted by their
// distance r from the box's centre, no pair with r + r' below the best can be better.
//
// Bytes: two reads of the map, 20 a run. Split: rows, then labels. Integer sums; exact maxima.
#include <algorithm>
#include <cmath>
#include <mutex>
#include <tuple>

#include "core/pool.h"
#include "cpu/component_table.h"
#include "cpu/label_rows.h"
#include "math/planeHull.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

struct LabelRun {
  int32_t label, d, h, first, last;
};

struct Moments {
  TableRow row;
  int64_t runs = 0;
  int64_t sum[3] = {0, 0, 0};

  void add(const LabelRun& run, int64_t H, int64_t W) {
    row.add(run.d, run.h, run.first, run.last + 1, H, W);
    ++runs;
    const int64_t n = run.last - run.first + 1;
    sum[0] += run.d * n;
    sum[1] += run.h * n;
    sum[2] += (int64_t{run.first} + run.last) * n / 2;
  }
  void merge(const Moments& o) {
    row.merge(o.row);
    runs += o.runs;
    for (int i = 0; i < 3; ++i) sum[i] += o.sum[i];
  }
};

struct Point {
  double r;  // distance from the centre, mm
  double d, h, w;
};

// The corners of each plane's hull, of one label's runs in raster order.
class PlaneHulls {
 public:
  PlaneHulls(Corner* low, Corner* high, Point* points) : low_(low), high_(high), points_(points) {}

  int64_t collect(const LabelRun* runs, int64_t count, const Real3& spacing, const Real3& centre) {
    for (int64_t i = 0; i < count;) {
      const int32_t d = runs[i].d;
      int64_t low = 0, high = 0;
      while (i < count && runs[i].d == d) {
        const int32_t h = runs[i].h, first = runs[i].first;
        int32_t last = runs[i].last;
        while (i < count && runs[i].d == d && runs[i].h == h) last = runs[i++].last;
        low = extendChain(low_, low, {h, first}, 1);
        high = extendChain(high_, high, {h, last}, -1);
      }
      for (int64_t k = 0; k < low; ++k) add(d, low_[k], spacing, centre);
      for (int64_t k = 0; k < high; ++k) add(d, high_[k], spacing, centre);
    }
    return used_;
  }

 private:
  void add(int32_t d, const Corner& c, const Real3& spacing, const Real3& centre) {
    Point p{0, d * spacing[0], c.h * spacing[1], c.w * spacing[2]};
    p.r = std::sqrt((p.d - centre[0]) * (p.d - centre[0]) + (p.h - centre[1]) * (p.h - centre[1]) +
                    (p.w - centre[2]) * (p.w - centre[2]));
    points_[used_++] = p;
  }

  Corner *low_, *high_;
  Point* points_;
  int64_t used_ = 0;
};

double greatestDistance(Point* points, int64_t count) {
  std::sort(points, points + count, [](const Point& a, const Point& b) {
    return std::tie(b.r, a.d, a.h, a.w) < std::tie(a.r, b.d, b.h, b.w);
  });
  double best2 = 0, best = 0;
  for (int64_t i = 0; i < count; ++i)
    for (int64_t j = i + 1; j < count; ++j) {
      const Point &p = points[i], &q = points[j];
      // The margin covers the rounding of r.
      if ((p.r + q.r) * (1 + 1e-12) < best) break;
      const double x = p.d - q.d, y = p.h - q.h, z = p.w - q.w;
      const double square = x * x + y * y + z * z;
      if (square > best2) {
        best2 = square;
        best = std::sqrt(square);
      }
    }
  return best;
}

template <class T>
void measure(const T* labels, const MeasureLabels& op, Context& cx) {
  const auto [D, H, W] = volumeSize(op.map.shape(), "map");
  const int64_t rows = D * H, height = H, width = W, n = op.labels;
  const auto forEach = [&](int64_t row, auto&& f) {
    forEachLabelRun(labels + row * width, width, [&](int64_t b, int64_t e, T value) {
      if (value > 0 && value <= n)
        f(LabelRun{static_cast<int32_t>(value), static_cast<int32_t>(row / height),
                   static_cast<int32_t>(row % height), static_cast<int32_t>(b),
                   static_cast<int32_t>(e - 1)});
    });
  };

  const auto slots = static_cast<size_t>(n + 1);
  Workspace momentSpace(cx, slots * (sizeof(Moments) + sizeof(int64_t)));
  Moments* moments = momentSpace.data<Moments>();
  std::fill(moments, moments + slots, Moments{});
  std::mutex mutex;
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    auto* mine = static_cast<Moments*>(threadScratch(0, slots * sizeof(Moments)));
    std::fill(mine, mine + slots, Moments{});
    for (int64_t row = begin; row < end; ++row)
      forEach(row, [&](const LabelRun& run) { mine[run.label].add(run, height, width); });
    std::lock_guard<std::mutex> lock(mutex);
    for (size_t i = 0; i < slots; ++i)
      if (mine[i].runs) moments[i].merge(mine[i]);
  });

  // Runs by label, in raster order within one.
  auto* first = reinterpret_cast<int64_t*>(moments + slots);
  int64_t total = 0;
  for (size_t i = 0; i < slots; ++i) {
    first[i] = total;
    total += moments[i].runs;
  }
  const auto size = static_cast<size_t>(std::max<int64_t>(total, 1));
  Workspace runSpace(cx, size * sizeof(LabelRun));
  LabelRun* runs = runSpace.data<LabelRun>();
  for (int64_t row = 0; row < rows; ++row)
    forEach(row, [&](const LabelRun& run) { runs[first[run.label]++] = run; });

  Workspace pointSpace(cx, size * 2 * (sizeof(Point) + sizeof(Corner)));
  Point* points = pointSpace.data<Point>();
  auto* corners = reinterpret_cast<Corner*>(points + 2 * size);
  parallelFor(n, [&](int64_t i) {
    const Moments& m = moments[i + 1];
    double* out = op.measures.data<double>() + i * kMeasures;
    std::fill(out, out + kMeasures, std::nan(""));
    out[0] = m.row.voxels;
    if (m.runs == 0) return;
    Real3 centre;
    for (size_t axis = 0; axis < 3; ++axis) {
      out[1 + axis] = static_cast<double>(m.sum[axis]) / m.row.voxels;
      out[4 + axis] = m.row.low[axis];
      out[7 + axis] = m.row.high[axis];
      centre[axis] = op.spacing[axis] * (m.row.low[axis] + m.row.high[axis]) / 2;
    }
    const int64_t start = first[i + 1] - m.runs;
    Point* mine = points + 2 * start;
    PlaneHulls hulls(corners + 2 * start, corners + 2 * start + m.runs, mine);
    out[10] = greatestDistance(mine, hulls.collect(runs + start, m.runs, op.spacing, centre));
  });
}

}  // namespace

template <>
void run(const MeasureLabels& op, Context& cx) {
  withLabelType(op.map, [&](auto* labels) { measure(labels, op, cx); });
}

}  // namespace rvx::cpu
