// connectedComponents: union-find over runs of voxels, rows as bit masks.
//
// components(v) = rank of v's component by its first voxel in raster order; v, u belong together where
// labels are nonzero and at most 1, 2 or 3 (connectivity 6, 18, 26) of |d - d'|, |h - h'|, |w - w'| are 1,
// the others 0. Runs along w are numbered in raster order, and those that touch are united, the lower
// number being the root, so that the result does not depend on the order of the unions (He, Chao, Suzuki:
// A run-based two-scan labeling algorithm, IEEE TIP 2008, in three dimensions).
//
// Rows are masks of 64 voxels a word, and which runs touch comes out of them by bit arithmetic
// (isa/row_bundles.cpp), so that noise costs no mispredicted branch a run. With connectivity 26 all voxels
// of two by two rows (d, h) at the same or neighbouring w touch each other: there a run is one of the union
// of four rows, an eighth as many in noise of 40 %. With perLabel the runs are listed and compared by
// their labels instead (label_runs.h).
//
// Work: one scan of the labels and one write of the result (least bytes: one element read, 4 written a
// voxel), between them a bit a voxel, padded to words, 4 bytes a run, and about a union for each pair of
// runs that touch. Rows of two to seven voxels leave most of a word empty and gain nothing. Split: bundles
// of rows; unions by slabs of planes and then across their borders (union_find.h); numbers by one thread.
#include <utility>

#include "core/pool.h"
#include "cpu/isa/row_bundles.h"
#include "cpu/label_rows.h"
#include "cpu/label_runs.h"
#include "cpu/union_find.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Numbers the components, parents becoming numbers.
int32_t numberRuns(const RowBundles& r) {
  // Parents come before their children, so one pass makes all of them roots.
  const int64_t bundles = r.planes * r.across;
  const int32_t total = r.first[bundles];
  int32_t n = 0;
  if (r.side == 1) {
    for (int32_t i = 0; i < total; ++i) {
      const int32_t p = r.parent[i];
      r.parent[i] = p == i ? ++n : r.parent[p];
    }
    return n;
  }
  for (int64_t plane = 0; plane < r.planes; ++plane) {
    int32_t roots = 0;
    for (int32_t i = r.first[plane * r.across]; i < r.first[(plane + 1) * r.across]; ++i) {
      const int32_t p = r.parent[i];
      roots += p == i;
      // A root of a plane before has its number already, as -number.
      r.parent[i] = r.parent[p] < 0 ? p : r.parent[p];
    }
    if (roots) RVX_ISA_CALL(numberBundles)(r, plane, roots, n);
    n += roots;
  }
  for (int32_t i = 0; i < total; ++i) {
    const int32_t p = r.parent[i];
    r.parent[i] = p < 0 ? -p : r.parent[p];
  }
  return n;
}

int32_t components(const void* labels, int64_t elementBytes, const Int3& size, int connectivity,
                   int32_t* out, Context& cx) {
  RowBundles r{};
  r.D = size[0], r.H = size[1], r.W = size[2];
  r.side = connectivity == 26 ? 2 : 1;
  r.planes = (r.D + r.side - 1) / r.side;
  r.across = (r.H + r.side - 1) / r.side;
  r.words = (r.W + 63) / 64;
  const int64_t bundles = r.planes * r.across;
  const auto words = static_cast<size_t>(bundles * r.side * r.side * r.words);
  Workspace bitSpace(cx, words * sizeof(uint64_t));
  Workspace firstSpace(cx, static_cast<size_t>(bundles + 1) * sizeof(int32_t));
  r.bits = bitSpace.data<uint64_t>();
  r.first = firstSpace.data<int32_t>();
  parallelRows(bundles, [&](int64_t begin, int64_t end) {
    RVX_ISA_CALL(maskBundles)(r, labels, elementBytes, begin, end);
  });
  r.first[0] = 0;
  for (int64_t i = 0; i < bundles; ++i) r.first[i + 1] += r.first[i];
  const int32_t total = r.first[bundles];

  Workspace parentSpace(cx, (static_cast<size_t>(total) + 1) * sizeof(int32_t));
  r.parent = parentSpace.data<int32_t>() + 1;
  r.parent[-1] = 0;
  const auto uniteSlab = [&](int64_t begin, int64_t end) {
    for (int32_t i = r.first[begin * r.across]; i < r.first[end * r.across]; ++i) r.parent[i] = i;
    for (int64_t plane = begin; plane < end; ++plane)
      RVX_ISA_CALL(uniteBundles)(r, connectivity, plane, true, plane > begin);
  };
  uniteBySlabs(r.planes, uniteSlab, [&](int64_t plane) {
    RVX_ISA_CALL(uniteBundles)(r, connectivity, plane, false, true);
  });
  const int32_t n = numberRuns(r);
  parallelRows(r.D * r.H, [&](int64_t begin, int64_t end) {
    RVX_ISA_CALL(writeRows)(r, begin, end, out);
  });
  return n;
}

}  // namespace

template <>
void run(const ConnectedComponents& op, Context& cx) {
  Int3 size = volumeSize(op.labels.shape(), "labels");
  // Axes of one voxel trade places, which changes neither neighbours nor raster order: rows want to be
  // long, slabs many.
  if (size[2] == 1) std::swap(size[1], size[2]);
  if (size[2] == 1) std::swap(size[0], size[2]);
  if (size[0] == 1) std::swap(size[0], size[1]);
  const auto connectivity = static_cast<int>(op.connectivity);
  int32_t* out = op.components.data<int32_t>();
  int32_t* count = op.count.data<int32_t>();
  *count = 0;
  if (size[0] * size[1] * size[2] == 0) return;
  withLabelType(op.labels, [&](auto* labels) {
    *count = op.perLabel ? componentsPerLabel(labels, size, connectivity, out, cx)
                         : components(labels, sizeof *labels, size, connectivity, out, cx);
  });
}

}  // namespace rvx::cpu
