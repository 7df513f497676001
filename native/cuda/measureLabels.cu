// measureLabels: size, centroid, box and greatest diameter of every label (columns in ops/labels.h).
//
// moments: sums and boxes, by block in shared memory. Then the greatest (Feret) diameter, the largest distance between two voxels'
// centres, of kBatchBytes of labels at a time. extents: each row's first and last voxel. hulls: of each plane the corners of the hull of
// those, the only ones that can be ends (math/planeHull.h); a warp takes a plane, two of its lanes the two chains. corners: the
// chains one after the other, by a prefix sum. distances: all pairs of a label's corners, some dozen a plane; the largest square by
// an integer maximum of its bits. Sums are integers, squares are the CPU's: the same bits.
//
// Least bytes: two reads of the map (one more for each batch of labels beyond the first), 8 and 16 bytes a row and label. FLOPs:
// 8 in double a pair of corners. Worst: large round labels of thin voxels, whose pairs take longer than the map.
//
// Limits: fewer than 2^31 voxels, 1 to 255 labels (ops/labels.h), whose sums and boxes are 14 KB of shared memory. A batch takes 56 bytes a row
// and label, nine labels of 512 x 1000 rows, and reads the map again. The two chains of a plane's hull are built by one lane each, row by row.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "cuda/componentRows.h"
#include "cuda/scan.h"
#include "math/planeHull.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr size_t kBatchBytes = size_t{1} << 28;
constexpr int kPairBlocks = 256;

struct Moments {
  uint64_t sum[3];
  int32_t row[kColumns];
};

RVX_DEVICE void clearMoments(Moments* m) {
  for (int axis = 0; axis < 3; ++axis) sts(m->sum + axis, uint64_t{0});
  for (int c = 0; c < kColumns; ++c) sts(m->row + c, emptyColumn(c));
}

RVX_KERNEL(kLabelThreads) clear(Moments* moments, uint64_t* squares, int32_t labels) {
  const auto i = static_cast<int32_t>(blockIdx.x * kLabelThreads + threadIdx.x);
  if (i >= labels) return;
  for (int axis = 0; axis < 3; ++axis) st(moments[i].sum + axis, uint64_t{0});
  for (int c = 0; c < kColumns; ++c) st(moments[i].row + c, emptyColumn(c));
  st(squares + i, uint64_t{0});
}

template <class T>
RVX_KERNEL(kLabelThreads)
gather(const T* map, LabelWords g, int32_t labels, Moments* moments) {
  auto* own = sharedMemory<Moments>();
  const auto t = static_cast<int32_t>(threadIdx.x);
  for (int32_t i = t; i < labels; i += kLabelThreads) clearMoments(own + i);
  syncBlock();
  forEachLabelRun(g, map, [&](int32_t d, int32_t h, int32_t begin, int32_t end, int32_t value) {
    if (value <= 0 || value > labels) return;
    Moments& m = own[value - 1];
    const auto n = static_cast<uint64_t>(end - begin);
    atomicAdd(m.sum, static_cast<uint64_t>(d) * n);
    atomicAdd(m.sum + 1, static_cast<uint64_t>(h) * n);
    atomicAdd(m.sum + 2, static_cast<uint64_t>(int64_t{begin} + end - 1) * n / 2);
    RowSums run;
    run.add(g, d, h, begin, end);
    run.mergeInto(m.row);
  });
  syncBlock();
  for (int32_t i = t; i < labels; i += kLabelThreads) {
    if (lds(own[i].row) == 0) continue;
    for (int axis = 0; axis < 3; ++axis) atomicAdd(moments[i].sum + axis, lds(own[i].sum + axis));
    for (int c = 0; c < kColumns; ++c) mergeColumn(moments[i].row, c, lds(own[i].row + c));
  }
}

// A row's first voxel and, so that both are minima, how far its last one is from the row's end; kNoVoxel where it has none.
struct alignas(8) Extent {
  int32_t first, behind;
};
constexpr int kNoVoxelByte = 0x7f;
constexpr int32_t kNoVoxel = 0x7f7f7f7f;

// Labels first <= label < last; extents [label][row].
template <class T>
RVX_KERNEL(kLabelThreads)
findExtents(const T* map, LabelWords g, int32_t first, int32_t last, Extent* extents) {
  forEachLabelRun(g, map, [&](int32_t d, int32_t h, int32_t begin, int32_t end, int32_t value) {
    if (value < first || value >= last) return;
    Extent& extent = extents[int64_t{value - first} * g.rows + d * g.height + h];
    atomicMin(&extent.first, begin);
    atomicMin(&extent.behind, g.width - end);
  });
}

// Of one label in one plane: the chains in corners [2][label][row], their lengths in counts [label][plane][2].
RVX_KERNEL(kLabelThreads)
findHulls(const Extent* extents, LabelWords g, int32_t planes, int32_t labels,
          const Moments* moments, Corner* corners, int32_t* counts) {
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const int64_t at = int64_t{blockIdx.x} * kLabelWarps + threadIdx.x / 32;
  if (at >= int64_t{labels} * planes) return;
  const auto label = static_cast<int32_t>(at / planes);
  const auto d = static_cast<int32_t>(at - int64_t{label} * planes);
  const int32_t* box = moments[label].row;
  int64_t length = 0;
  if (ld(box) > 0 && d >= ld(box + 1) && d <= ld(box + 4)) {
    const int32_t low = ld(box + 2), high = ld(box + 5);
    const int64_t plane = int64_t{label} * g.rows + int64_t{d} * g.height;
    Corner* chain = corners + (lane == 1 ? int64_t{labels} * g.rows : 0) + plane;
    for (int32_t h = low; h <= high; h += 32) {
      Extent mine{kNoVoxel, 0};
      if (h + lane <= high) mine = ld(extents + plane + h + lane);
      uint32_t rows = ballot(mine.first != kNoVoxel);
      for (; rows; rows &= rows - 1) {
        const int from = trailingZeros(rows);
        const int32_t first = shuffle(mine.first, from), behind = shuffle(mine.behind, from);
        if (lane == 0)
          length = extendChain(chain, length, {h + from, first}, 1);
        else if (lane == 1)
          length = extendChain(chain, length, {h + from, g.width - 1 - behind}, -1);
      }
    }
  }
  if (lane < 2) st(counts + 2 * at + lane, static_cast<int32_t>(length));
}

struct alignas(16) Place {
  int32_t d, h, w, unused;
};

// The chains of all labels one after the other; a warp copies those of one label and plane.
RVX_KERNEL(kLabelThreads)
gatherCorners(const Corner* corners, LabelWords g, int32_t planes, int32_t labels,
              const int32_t* starts, Place* places) {
  const auto lane = static_cast<int32_t>(threadIdx.x % 32);
  const int64_t at = int64_t{blockIdx.x} * kLabelWarps + threadIdx.x / 32;
  if (at >= int64_t{labels} * planes) return;
  const auto label = static_cast<int32_t>(at / planes);
  const auto d = static_cast<int32_t>(at - int64_t{label} * planes);
  const int64_t plane = int64_t{label} * g.rows + int64_t{d} * g.height;
  for (int side = 0; side < 2; ++side) {
    const Corner* chain = corners + side * int64_t{labels} * g.rows + plane;
    const int32_t start = ld(starts + 2 * at + side);
    const int32_t end = ld(starts + 2 * at + side + 1);
    for (int32_t i = lane; i < end - start; i += 32) {
      const Corner corner{ld(&chain[i].h), ld(&chain[i].w)};
      st(places + start + i, Place{d, corner.h, corner.w, 0});
    }
  }
}

// gridDim.y labels. A thread keeps one corner of a tile against all of that tile and those behind it.
RVX_KERNEL(kLabelThreads)
findDistances(const Place* places, const int32_t* starts, int32_t planes, double spacingD,
              double spacingH, double spacingW, uint64_t* squares) {
  auto* others = sharedMemory<double>();  // d, h, w of a tile
  auto* scratch = sharedMemory<uint64_t>(3 * kLabelThreads * sizeof(double));
  const auto t = static_cast<int32_t>(threadIdx.x);
  const int64_t label = blockIdx.y;
  const int32_t start = ld(starts + 2 * label * planes);
  const int32_t count = ld(starts + 2 * (label + 1) * planes) - start;
  const int32_t tiles = (count + kLabelThreads - 1) / kLabelThreads;
  const int64_t pairs = int64_t{tiles} * tiles;
  if (blockIdx.x >= pairs) return;
  double best = 0;
  for (int64_t pair = blockIdx.x; pair < pairs; pair += gridDim.x) {
    const auto i = static_cast<int32_t>(pair / tiles), j = static_cast<int32_t>(pair % tiles);
    if (j < i) continue;
    syncBlock();
    const int32_t other = Minimum()(j * kLabelThreads + t, count - 1);
    const Place q = ld(places + start + other);
    sts(others + t, q.d * spacingD);
    sts(others + kLabelThreads + t, q.h * spacingH);
    sts(others + 2 * kLabelThreads + t, q.w * spacingW);
    syncBlock();
    const Place p = ld(places + start + Minimum()(i * kLabelThreads + t, count - 1));
    const double d = p.d * spacingD, h = p.h * spacingH, w = p.w * spacingW;
    const int32_t n = Minimum()(kLabelThreads, count - j * kLabelThreads);
    for (int32_t k = 0; k < n; ++k) {
      const double x = d - lds(others + k), y = h - lds(others + kLabelThreads + k),
                   z = w - lds(others + 2 * kLabelThreads + k);
      best = Maximum()(best, x * x + y * y + z * z);
    }
  }
  // Numbers >= 0 have the order of their bits.
  uint64_t bits;
  std::memcpy(&bits, &best, sizeof bits);
  bits = reduceBlock<Maximum>(bits, uint64_t{0}, scratch);
  if (t == 0 && bits) atomicMax(squares + label, bits);
}

RVX_KERNEL(kLabelThreads)
finish(const Moments* moments, const uint64_t* squares, int32_t labels, double nothing,
       double* measures) {
  const auto i = static_cast<int32_t>(blockIdx.x * kLabelThreads + threadIdx.x);
  if (i >= labels) return;
  const int32_t* row = moments[i].row;
  const int32_t voxels = ld(row);
  double* out = measures + int64_t{i} * kMeasures;
  st(out, static_cast<double>(voxels));
  for (int axis = 0; axis < 3; ++axis) {
    const auto sum = static_cast<int64_t>(ld(moments[i].sum + axis));
    st(out + 1 + axis, voxels ? static_cast<double>(sum) / voxels : nothing);
    st(out + 4 + axis, voxels ? static_cast<double>(ld(row + 1 + axis)) : nothing);
    st(out + 7 + axis, voxels ? static_cast<double>(ld(row + 4 + axis)) : nothing);
  }
  const uint64_t bits = ld(squares + i);
  double square;
  std::memcpy(&square, &bits, sizeof square);
  st(out + 10, voxels ? std::sqrt(square) : nothing);
}

// The greatest diameters' squares of labels first <= label < last.
template <class T>
void measureBatch(const T* map, const MeasureLabels& op, const LabelWords& g, int32_t first,
                  int32_t last, const Moments* moments, uint64_t* squares, Context& cx) {
  const auto labels = static_cast<size_t>(last - first), rows = labels * g.rows;
  const auto planes = static_cast<size_t>(g.rows / g.height);
  const Workspace extentSpace(cx, rows * sizeof(Extent));
  const Workspace cornerSpace(cx, rows * 2 * sizeof(Corner));
  const Workspace placeSpace(cx, rows * 2 * sizeof(Place));
  const Workspace countSpace(cx, (labels * planes * 2 + 1) * sizeof(int32_t));
  auto* extents = extentSpace.data<Extent>();
  auto* corners = cornerSpace.data<Corner>();
  auto* places = placeSpace.data<Place>();
  auto* counts = countSpace.data<int32_t>();
  gpu(cx).fill(extents, kNoVoxelByte, rows * sizeof(Extent));
  launch(cx, "measureLabels/extents", labelBlocks(g), kLabelThreads, 0, &findExtents<T>, map, g,
         first, last, extents);
  const unsigned warps = blocksFor(static_cast<int64_t>(labels * planes), kLabelWarps);
  launch(cx, "measureLabels/hulls", warps, kLabelThreads, 0, &findHulls, extents, g,
         static_cast<int32_t>(planes), static_cast<int32_t>(labels), moments + first - 1, corners,
         counts);
  const auto chains = static_cast<int64_t>(labels * planes * 2);
  exclusiveScan(cx, counts, chains, counts, counts + chains);
  launch(cx, "measureLabels/corners", warps, kLabelThreads, 0, &gatherCorners, corners, g,
         static_cast<int32_t>(planes), static_cast<int32_t>(labels), counts, places);
  const size_t shared = 3 * kLabelThreads * sizeof(double) + 32 * sizeof(uint64_t);
  launch(cx, "measureLabels/distances", Dim3{kPairBlocks, static_cast<unsigned>(labels), 1},
         kLabelThreads, shared, &findDistances, places, counts, static_cast<int32_t>(planes),
         op.spacing[0], op.spacing[1], op.spacing[2], squares + first - 1);
}

template <class T>
void measure(const T* map, const MeasureLabels& op, Context& cx) {
  const LabelWords g(volumeSize(op.map.shape(), "map"));
  const auto labels = static_cast<int32_t>(op.labels);
  const auto n = static_cast<size_t>(labels);
  const Workspace space(cx, n * (sizeof(Moments) + sizeof(uint64_t)));
  auto* moments = space.data<Moments>();
  auto* squares = reinterpret_cast<uint64_t*>(moments + n);
  const unsigned blocks = blocksFor(labels, kLabelThreads);
  launch(cx, "measureLabels/clear", blocks, kLabelThreads, 0, &clear, moments, squares, labels);
  launch(cx, "measureLabels/moments", labelBlocks(g), kLabelThreads, n * sizeof(Moments),
         &gather<T>, map, g, labels, moments);
  if (g.rows > 0) {
    const size_t each =
        static_cast<size_t>(g.rows) * (sizeof(Extent) + 2 * sizeof(Corner) + 2 * sizeof(Place));
    const auto batch = static_cast<int32_t>(std::clamp<size_t>(kBatchBytes / each, 1, n));
    for (int32_t first = 1; first <= labels; first += batch)
      measureBatch(map, op, g, first, std::min(first + batch, labels + 1), moments, squares, cx);
  }
  launch(cx, "measureLabels/finish", blocks, kLabelThreads, 0, &finish, moments, squares, labels,
         std::nan(""), op.measures.data<double>());
}

}  // namespace

template <>
void run(const MeasureLabels& op, Context& cx) {
  withLabelType(op.map, [&](auto* map) { measure(map, op, cx); });
}

}  // namespace rvx::cuda
