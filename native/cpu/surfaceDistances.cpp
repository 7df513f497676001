// surfaceDistances: directed distances between the surfaces of two masks, in double.
//
// Everything happens in the joint bounding box of the two. Distances come from the separable exact
// transform (distance_lines.h) of the other mask's surface, evaluated only where this mask has a
// surface voxel: the pass along h for columns (h, w) that hold one in any plane, the pass along d at
// the voxels themselves, straight into compacted distances.
//
// Bytes: the maps once, then for each direction about 20 a voxel of the box. Split: planes, then rows;
// sums are taken in raster order by one thread, so bits do not depend on threads.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <mutex>
#include <numeric>
#include <vector>

#include "core/pool.h"
#include "cpu/component_table.h"
#include "cpu/distance_lines.h"
#include "cpu/label_rows.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Which values are foreground.
struct Membership {
  std::array<uint8_t, 256> of{};
  bool all = false;  // every value but 0

  explicit Membership(const std::vector<double>& labels) : all(labels.empty()) {
    for (double label : labels)
      if (label >= 1 && label <= 255) of[static_cast<size_t>(label)] = 1;
  }
  template <class T>
  bool operator()(T value) const {
    if (all) return value != 0;
    return value >= 0 && static_cast<int64_t>(value) < 256 && of[static_cast<size_t>(value)] != 0;
  }
};

struct Extent {
  TableRow a, b;  // voxels and box of each mask
  int64_t both = 0;
};

template <class A, class B>
Extent extent(const A* a, const B* b, const Int3& size, const Membership& member) {
  const auto [D, H, W] = size;
  const int64_t height = H, width = W;
  Extent all;
  std::mutex mutex;
  parallelRows(D * H, [&](int64_t begin, int64_t end) {
    Extent mine;
    for (int64_t row = begin; row < end; ++row) {
      const A* lineA = a + row * width;
      const B* lineB = b + row * width;
      const int64_t d = row / height, h = row % height;
      forEachLabelRun(lineA, width, [&](int64_t from, int64_t to, A value) {
        if (!member(value)) return;
        mine.a.add(d, h, from, to, height, width);
        for (int64_t w = from; w < to; ++w) mine.both += member(lineB[w]);
      });
      forEachLabelRun(lineB, width, [&](int64_t from, int64_t to, B value) {
        if (member(value)) mine.b.add(d, h, from, to, height, width);
      });
    }
    std::lock_guard<std::mutex> lock(mutex);
    all.a.merge(mine.a);
    all.b.merge(mine.b);
    all.both += mine.both;
  });
  return all;
}

// The joint box of the two masks.
struct Box {
  int64_t low[3], size[3];
  int64_t voxels() const { return size[0] * size[1] * size[2]; }
  int64_t rows() const { return size[0] * size[1]; }
};

// The surface voxels of one mask in the box, as 0/1, with their places in raster order.
class Surface {
 public:
  template <class T>
  Surface(const T* labels, const Int3& grid, const Box& box, const Membership& member, Context& cx)
      : box_(box),
        space_(cx, static_cast<size_t>(box.voxels())),
        rowSpace_(cx, static_cast<size_t>(box.rows() + 1) * sizeof(int64_t)) {
    const auto [D, H, W] = box.size;
    // The mask with a border of zeros: outside of the box there is no foreground, and the outside of
    // the volume counts as background.
    const int64_t pitch = W + 2, plane = (H + 2) * pitch;
    Workspace maskSpace(cx, static_cast<size_t>((D + 2) * plane));
    uint8_t* mask = maskSpace.data<uint8_t>();
    const int64_t height = H, width = W, depth = D;
    parallelFor(depth + 2, [&](int64_t d) {
      uint8_t* to = mask + d * plane;
      std::memset(to, 0, static_cast<size_t>(plane));
      if (d == 0 || d == depth + 1) return;
      for (int64_t h = 0; h < height; ++h) {
        const T* from = labels + ((box.low[0] + d - 1) * grid[1] + box.low[1] + h) * grid[2];
        uint8_t* line = to + (h + 1) * pitch + 1;
        for (int64_t w = 0; w < width; ++w) line[w] = member(from[box.low[2] + w]);
      }
    });
    uint8_t* surface = space_.data<uint8_t>();
    int64_t* first = rowSpace_.data<int64_t>();
    parallelFor(depth, [&](int64_t d) {
      for (int64_t h = 0; h < height; ++h) {
        const uint8_t* m = mask + (d + 1) * plane + (h + 1) * pitch + 1;
        uint8_t* out = surface + (d * height + h) * width;
        for (int64_t w = 0; w < width; ++w) {
          const uint8_t inner =
              m[w - 1] & m[w + 1] & m[w - pitch] & m[w + pitch] & m[w - plane] & m[w + plane];
          out[w] = static_cast<uint8_t>(m[w] & (inner ^ 1));
        }
        first[d * height + h + 1] = std::accumulate(out, out + width, int64_t{0});
      }
    });
    first[0] = 0;
    for (int64_t row = 0; row < box.rows(); ++row) first[row + 1] += first[row];
  }

  const Box& box() const { return box_; }
  const uint8_t* row(int64_t row) const { return space_.data<uint8_t>() + row * box_.size[2]; }
  // How many surface voxels come before this row.
  int64_t before(int64_t row) const { return rowSpace_.data<int64_t>()[row]; }
  int64_t count() const { return before(box_.rows()); }

 private:
  Box box_;
  Workspace space_, rowSpace_;
};

// Distances of each voxel of `from` to the nearest of `to`, in raster order.
void directedDistances(const Surface& from, const Surface& to, const Real3& spacing,
                       double* distances, Context& cx) {
  const auto [D, H, W] = from.box().size;
  const int64_t depth = D, height = H, width = W, plane = H * W;
  const double step[3] = {spacing[0] * spacing[0], spacing[1] * spacing[1],
                          spacing[2] * spacing[2]};
  // The columns (h, w) in which `from` has a voxel, of any plane.
  Workspace columnSpace(cx, static_cast<size_t>(plane));
  uint8_t* columns = columnSpace.data<uint8_t>();
  parallelFor(height, [&](int64_t h) {
    uint8_t* line = columns + h * width;
    std::memset(line, 0, static_cast<size_t>(width));
    for (int64_t d = 0; d < depth; ++d) {
      const uint8_t* row = from.row(d * height + h);
      for (int64_t w = 0; w < width; ++w) line[w] |= row[w];
    }
  });

  std::vector<uint8_t> inAnyRow(static_cast<size_t>(width), 0);
  for (int64_t h = 0; h < height; ++h)
    for (int64_t w = 0; w < width; ++w) inAnyRow[static_cast<size_t>(w)] |= columns[h * width + w];

  Workspace space(cx, static_cast<size_t>(depth * plane) * sizeof(double));
  double* squares = space.data<double>();
  parallelFor(depth, [&](int64_t d) {
    double* out = squares + d * plane;
    const bool empty = to.before(d * height) == to.before((d + 1) * height);
    for (int64_t h = 0; h < height; ++h) {
      double* line = out + h * width;
      const int64_t row = d * height + h;
      if (to.before(row) == to.before(row + 1)) {
        std::fill(line, line + width, kInfinity);
        continue;
      }
      const uint8_t* sites = to.row(row);
      distancesInRow(width, step[2], line, [&](int64_t w) { return sites[w] != 0; });
    }
    if (empty) return;
    ColumnEnvelopes envelopes(height);
    for (int64_t w = 0; w < width; w += kColumns) {
      const int64_t n = std::min(kColumns, width - w);
      const uint8_t* any = inAnyRow.data() + w;
      envelopes.compute(
          out + w, width, n, step[1], [&](int64_t c) { return any[c] != 0; },
          [&](int64_t h, int64_t c) { return columns[h * width + w + c] != 0; });
      for (int64_t h = 0; h < height; ++h)
        for (int64_t c = 0; c < n; ++c) out[h * width + w + c] = envelopes.at(h, c);
    }
  });

  parallelFor(height, [&](int64_t h) {
    ColumnEnvelopes envelopes(depth);
    auto* next =
        static_cast<int64_t*>(threadScratch(3, static_cast<size_t>(depth) * sizeof(int64_t)));
    for (int64_t d = 0; d < depth; ++d) next[d] = from.before(d * height + h);
    for (int64_t w = 0; w < width; w += kColumns) {
      const int64_t n = std::min(kColumns, width - w);
      const uint8_t* any = columns + h * width + w;
      if (std::all_of(any, any + n, [](uint8_t x) { return x == 0; })) continue;
      const auto wanted = [&](int64_t d, int64_t c) {
        return from.row(d * height + h)[w + c] != 0;
      };
      envelopes.compute(
          squares + h * width + w, plane, n, step[0], [&](int64_t c) { return any[c] != 0; },
          wanted);
      for (int64_t d = 0; d < depth; ++d)
        for (int64_t c = 0; c < n; ++c)
          if (wanted(d, c)) distances[next[d]++] = std::sqrt(envelopes.at(d, c));
    }
  });
}

// Linear interpolation between order statistics. Reorders the values.
double percentile(double* values, int64_t count, double percent) {
  const double place = static_cast<double>(count - 1) * percent / 100;
  const auto below = static_cast<int64_t>(std::floor(place));
  std::nth_element(values, values + below, values + count);
  const double low = values[below];
  if (below + 1 >= count) return low;
  const double high = *std::min_element(values + below + 1, values + count);
  return low + (place - static_cast<double>(below)) * (high - low);
}

// The figures of one direction, at the places of the A-to-B figures of `summary`, or (side 1) one
// further.
void summarize(double* distances, int64_t count, const SurfaceDistances& op, int64_t side,
               double* summary) {
  double sum = 0, maximum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += distances[i];
    maximum = std::max(maximum, distances[i]);
  }
  summary[kSumAB + side] = sum;
  summary[kMaximumAB + side] = maximum;
  double* out = summary + kSurfaceFigures + side;
  const auto percentiles = static_cast<int64_t>(op.percentiles.size());
  for (size_t i = 0; i < op.tolerances.size(); ++i)
    out[2 * (percentiles + static_cast<int64_t>(i))] = static_cast<double>(std::count_if(
        distances, distances + count, [limit = op.tolerances[i]](double x) { return x <= limit; }));
  for (int64_t i = 0; i < percentiles; ++i)
    out[2 * i] = percentile(distances, count, op.percentiles[static_cast<size_t>(i)]);
}

void keepDistances(const Output& out, const double* distances, int64_t count) {
  if (!out) return;
  const int64_t capacity = out.shape.size();
  double* to = out.data<double>();
  const int64_t kept = std::min(count, capacity);
  std::copy(distances, distances + kept, to);
  std::fill(to + kept, to + capacity, std::nan(""));
}

// What the figures are where a mask is empty.
void summarizeEmpty(const SurfaceDistances& op, bool both, double* summary) {
  const double value = both ? std::nan("") : kInfinity;
  for (int64_t i = kSumAB; i <= kMaximumBA; ++i) summary[i] = value;
  double* out = summary + kSurfaceFigures;
  const size_t percentiles = 2 * op.percentiles.size();
  std::fill(out, out + percentiles, value);
  std::fill(out + percentiles, out + percentiles + 2 * op.tolerances.size(), both ? value : 0);
}

template <class A, class B>
void surfaceDistances(const A* a, const B* b, const SurfaceDistances& op, Context& cx) {
  const Int3 grid = volumeSize(op.a.shape(), "a");
  const Membership member(op.labels);
  const Extent found = extent(a, b, grid, member);
  double* summary = op.summary.data<double>();
  summary[kVoxelsA] = found.a.voxels;
  summary[kVoxelsB] = found.b.voxels;
  summary[kVoxelsBoth] = static_cast<double>(found.both);

  TableRow joint = found.a;
  joint.merge(found.b);
  Box box{};
  for (size_t axis = 0; axis < 3 && joint.voxels > 0; ++axis) {
    box.low[axis] = joint.low[axis];
    box.size[axis] = joint.high[axis] - joint.low[axis] + 1;
  }
  const Surface surfaceA(a, grid, box, member, cx), surfaceB(b, grid, box, member, cx);
  const int64_t countA = surfaceA.count(), countB = surfaceB.count();
  summary[kSurfaceA] = static_cast<double>(countA);
  summary[kSurfaceB] = static_cast<double>(countB);
  if (countA == 0 || countB == 0) {
    summarizeEmpty(op, countA + countB == 0, summary);
    for (const auto& [out, count] :
         {std::pair{&op.distancesAB, countA}, std::pair{&op.distancesBA, countB}}) {
      const std::vector<double> none(static_cast<size_t>(count), kInfinity);
      keepDistances(*out, none.data(), count);
    }
    return;
  }
  Workspace space(cx, static_cast<size_t>(std::max(countA, countB)) * sizeof(double));
  double* distances = space.data<double>();
  directedDistances(surfaceA, surfaceB, op.spacing, distances, cx);
  keepDistances(op.distancesAB, distances, countA);
  summarize(distances, countA, op, 0, summary);
  directedDistances(surfaceB, surfaceA, op.spacing, distances, cx);
  keepDistances(op.distancesBA, distances, countB);
  summarize(distances, countB, op, 1, summary);
}

}  // namespace

template <>
void run(const SurfaceDistances& op, Context& cx) {
  withLabelType(op.a, [&](auto* a) {
    withLabelType(op.b, [&](auto* b) { surfaceDistances(a, b, op, cx); });
  });
}

}  // namespace rvx::cpu
