// Surfaces of masks, and the exact distances between them, in double.
//
// Everything happens in the joint bounding box of the two. Distances come from the separable exact
// transform (distance_lines.h) of the other mask's surface, evaluated only where this mask has a
// place of its surface: the pass along h for columns (h, w) that hold one in any plane, the pass along d
// at the places themselves, straight into compacted distances.
//
// Bytes: the maps once, then for each direction about 20 a voxel of the box. Split: planes, then rows.
#include "cpu/surfaces.h"

#include <array>
#include <cmath>
#include <cstring>
#include <mutex>
#include <numeric>

#include "core/pool.h"
#include "cpu/component_table.h"
#include "cpu/distance_lines.h"
#include "cpu/label_rows.h"
#include "math/surfaceElements.h"

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
  parallelRows(width > 0 ? D * H : 0, [&](int64_t begin, int64_t end) {
    Extent mine;
    NonzeroRows<A> rowsOfA(a, width, end);
    NonzeroRows<B> rowsOfB(b, width, end);
    const auto next = [&](int64_t row) { return std::min(rowsOfA.next(row), rowsOfB.next(row)); };
    for (int64_t row = next(begin); row < end; row = next(row + 1)) {
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

// A mask in the box with a border of zeros: outside of the box there is no foreground, and the outside
// of the volume counts as background.
struct PaddedMask {
  int64_t depth, height, width;  // of the box
  int64_t pitch, plane;
  Workspace space;

  template <class T>
  PaddedMask(const T* labels, const Int3& grid, const Box& box, const Membership& member,
             Context& cx)
      : depth(box.size[0]),
        height(box.size[1]),
        width(box.size[2]),
        pitch(width + 2),
        plane((height + 2) * pitch),
        space(cx, static_cast<size_t>((depth + 2) * plane)) {
    parallelFor(depth + 2, [&](int64_t d) {
      uint8_t* to = space.data<uint8_t>() + d * plane;
      std::memset(to, 0, static_cast<size_t>(plane));
      if (d == 0 || d == depth + 1) return;
      for (int64_t h = 0; h < height; ++h) {
        const T* from = labels + ((box.low[0] + d - 1) * grid[1] + box.low[1] + h) * grid[2];
        uint8_t* line = to + (h + 1) * pitch + 1;
        for (int64_t w = 0; w < width; ++w) line[w] = member(from[box.low[2] + w]);
      }
    });
  }
  // Voxel (d, h, 0) of the box; -1 and the size are the border.
  const uint8_t* row(int64_t d, int64_t h) const {
    return space.data<uint8_t>() + (d + 1) * plane + (h + 1) * pitch + 1;
  }
};

// Foreground with a neighbour in the background.
void surfaceVoxels(const PaddedMask& mask, int64_t d, int64_t h, uint8_t* out) {
  const int64_t pitch = mask.pitch, plane = mask.plane, width = mask.width;
  const uint8_t* m = mask.row(d, h);
  for (int64_t w = 0; w < width; ++w) {
    const uint8_t inner =
        m[w - 1] & m[w + 1] & m[w - pitch] & m[w + pitch] & m[w - plane] & m[w + plane];
    out[w] = static_cast<uint8_t>(m[w] & (inner ^ 1));
  }
}

// Codes of the cells whose high corner is row (d, h).
void elementCodes(const PaddedMask& mask, int64_t d, int64_t h, uint8_t* out) {
  const uint8_t* rows[2][2] = {{mask.row(d - 1, h - 1), mask.row(d - 1, h)},
                               {mask.row(d, h - 1), mask.row(d, h)}};
  const int64_t cells = mask.width + 1;
  for (int64_t w = 0; w < cells; ++w) {
    uint32_t code = 0;
    for (int kd = 0; kd < 2; ++kd)
      for (int kh = 0; kh < 2; ++kh)
        code |= rows[kd][kh][w - 1] * cellBit(kd, kh, 0) | rows[kd][kh][w] * cellBit(kd, kh, 1);
    out[w] = static_cast<uint8_t>(elementCode(code));
  }
}

}  // namespace

JointMasks jointMasks(const SurfaceDistances& op) {
  const Membership member(op.labels);
  Extent found;
  withLabelType(op.a, [&](auto* a) {
    withLabelType(op.b,
                  [&](auto* b) { found = extent(a, b, volumeSize(op.a.shape(), "a"), member); });
  });
  JointMasks joint;
  joint.voxelsA = found.a.voxels, joint.voxelsB = found.b.voxels, joint.both = found.both;
  TableRow all = found.a;
  all.merge(found.b);
  for (size_t axis = 0; axis < 3 && joint.voxelsA + joint.voxelsB > 0; ++axis) {
    joint.box.low[axis] = all.low[axis];
    joint.box.size[axis] = all.high[axis] - all.low[axis] + 1;
  }
  return joint;
}

namespace {
Int3 placesOf(const Box& box, bool elements) {
  Int3 size{};
  for (size_t axis = 0; axis < 3 && box.size[axis] > 0; ++axis)
    size[axis] = box.size[axis] + (elements ? 1 : 0);
  return size;
}
}  // namespace

Surface::Surface(const Input& map, const SurfaceDistances& op, const Box& box, Context& cx)
    : size_(placesOf(box, op.elements())),
      space_(cx, static_cast<size_t>(size_[0] * size_[1] * size_[2])),
      rowSpace_(cx, static_cast<size_t>(size_[0] * size_[1] + 1) * sizeof(int64_t)) {
  withLabelType(map, [&](auto* x) { fill(x, volumeSize(map.shape(), "map"), op, box, cx); });
}

template <class T>
void Surface::fill(const T* labels, const Int3& grid, const SurfaceDistances& op, const Box& box,
                   Context& cx) {
  const PaddedMask mask(labels, grid, box, Membership(op.labels), cx);
  const auto [depth, height, width] = size_;
  const bool elements = op.elements();
  uint8_t* places = space_.data<uint8_t>();
  int64_t* first = rowSpace_.data<int64_t>();
  first[0] = 0;
  parallelFor(depth, [&, height = height, width = width](int64_t d) {
    for (int64_t h = 0; h < height; ++h) {
      uint8_t* out = places + (d * height + h) * width;
      if (elements)
        elementCodes(mask, d, h, out);
      else
        surfaceVoxels(mask, d, h, out);
      int64_t count = 0;
      for (int64_t w = 0; w < width; ++w) count += out[w] != 0;
      first[d * height + h + 1] = count;
    }
  });
  for (int64_t row = 0; row < depth * height; ++row) first[row + 1] += first[row];
}

void directedDistances(const Surface& from, const Surface& to, const Real3& spacing,
                       double* distances, Context& cx) {
  const auto [D, H, W] = from.size();
  const int64_t depth = D, height = H, width = W, plane = H * W;
  const double step[3] = {spacing[0] * spacing[0], spacing[1] * spacing[1],
                          spacing[2] * spacing[2]};
  // The columns (h, w) in which `from` has a place, of any plane.
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

}  // namespace rvx::cpu
