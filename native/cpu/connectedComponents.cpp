// connectedComponents: run-based union-find.
//
// Each row's runs are numbered in raster order; runs of neighbouring rows that touch are united, the
// lower number being the root, so that roots come in raster order of their component's first voxel
// and the numbering does not depend on the order of the unions (He, Chao, Suzuki: A run-based two-scan
// labeling algorithm, IEEE TIP 2008, in three dimensions).
//
// Work: two scans of the labels and one write of the result (bytes: 2 reads of the map, 4 written a
// voxel), plus about 12 bytes and a few unions a run; random 30-50 % density is the worst case (a run
// for every four voxels). Split: slabs of planes, united inside at once and across their borders
// pairwise, in rounds of doubling width, so that two tasks never share a tree.
#include <algorithm>

#include "core/pool.h"
#include "cpu/label_rows.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kSlabs = 16;

struct Run {
  int32_t begin, end;  // w, end exclusive
};

struct Runs {
  const int32_t* rows;  // first run of each row; rows[R] = number of runs
  const Run* runs;
  int32_t* parent;
};

int32_t root(int32_t* parent, int32_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

void unite(int32_t* parent, int32_t a, int32_t b) {
  a = root(parent, a);
  b = root(parent, b);
  if (a < b)
    parent[b] = a;
  else
    parent[a] = b;
}

// Unites the touching runs of two rows. reach = 1 lets runs touch diagonally. same(i, j): whether
// runs i and j may belong together.
template <class Same>
void uniteRows(const Runs& r, int64_t rowA, int64_t rowB, int32_t reach, Same&& same) {
  int32_t a = r.rows[rowA], b = r.rows[rowB];
  const int32_t endA = r.rows[rowA + 1], endB = r.rows[rowB + 1];
  const auto touch = [&](int32_t i, int32_t j) {
    return r.runs[i].begin < r.runs[j].end + reach && r.runs[j].begin < r.runs[i].end + reach &&
           same(i, j);
  };
  while (a < endA && b < endB) {
    if (touch(a, b)) unite(r.parent, a, b);
    if (r.runs[a].end < r.runs[b].end) {
      ++a;
    } else if (r.runs[a].end > r.runs[b].end) {
      ++b;
    } else {
      // Runs of different labels may follow each other without a gap: both diagonals count.
      if (b + 1 < endB && touch(a, b + 1)) unite(r.parent, a, b + 1);
      ++a;
    }
  }
}

// Unites row (d, h) with its neighbours in the plane before; inPlane: with row h - 1 of its own.
template <class Same>
void uniteRow(const Runs& r, int64_t d, int64_t h, int64_t H, int connectivity, bool inPlane,
              bool before, Same&& same) {
  const int64_t row = d * H + h;
  if (r.rows[row] == r.rows[row + 1]) return;
  if (inPlane && h > 0) uniteRows(r, row, row - 1, connectivity >= 18, same);
  if (!before || d == 0) return;
  uniteRows(r, row, row - H, connectivity >= 18, same);
  if (connectivity == 6) return;
  if (h > 0) uniteRows(r, row, row - H - 1, connectivity == 26, same);
  if (h + 1 < H) uniteRows(r, row, row - H + 1, connectivity == 26, same);
}

template <class Same>
void uniteAll(const Runs& r, int64_t D, int64_t H, int connectivity, Same&& same) {
  const int64_t planes = (D + kSlabs - 1) / kSlabs;
  const int64_t slabs = (D + planes - 1) / planes;
  parallelFor(slabs, [&](int64_t slab) {
    const int64_t begin = slab * planes, end = std::min(D, begin + planes);
    for (int64_t d = begin; d < end; ++d)
      for (int64_t h = 0; h < H; ++h) uniteRow(r, d, h, H, connectivity, true, d > begin, same);
  });
  for (int64_t width = 1; width < slabs; width *= 2) {
    const int64_t pairs = (slabs - width + 2 * width - 1) / (2 * width);
    parallelFor(pairs, [&](int64_t pair) {
      const int64_t d = (2 * pair + 1) * width * planes;
      for (int64_t h = 0; h < H; ++h) uniteRow(r, d, h, H, connectivity, false, true, same);
    });
  }
}

template <class T>
void components(const T* labels, const ConnectedComponents& op, Context& cx) {
  const auto [D, H, W] = volumeSize(op.labels.shape(), "labels");
  const int64_t rows = D * H;
  int32_t* out = op.components.data<int32_t>();
  int32_t* count = op.count.data<int32_t>();
  *count = 0;
  if (rows * W == 0) return;
  const int64_t width = W;
  const auto forEach = [&](int64_t row, auto&& f) {
    if (op.perLabel)
      forEachLabelRun(labels + row * width, width, [&](int64_t b, int64_t e, T) { f(b, e); });
    else
      forEachRun(labels + row * width, width, f);
  };

  Workspace rowSpace(cx, static_cast<size_t>(rows + 1) * sizeof(int32_t));
  int32_t* first = rowSpace.data<int32_t>();
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int32_t n = 0;
      forEach(row, [&](int64_t, int64_t) { ++n; });
      first[row + 1] = n;
    }
  });
  first[0] = 0;
  for (int64_t row = 0; row < rows; ++row) first[row + 1] += first[row];

  const auto total = static_cast<size_t>(first[rows]);
  Workspace runSpace(cx, std::max<size_t>(total, 1) * (sizeof(Run) + sizeof(int32_t)));
  Run* runs = runSpace.data<Run>();
  int32_t* parent = reinterpret_cast<int32_t*>(runs + total);
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int32_t i = first[row];
      forEach(row, [&](int64_t b, int64_t e) {
        runs[i] = {static_cast<int32_t>(b), static_cast<int32_t>(e)};
        parent[i] = i;
        ++i;
      });
    }
  });

  const Runs r{first, runs, parent};
  const int connectivity = static_cast<int>(op.connectivity);
  if (op.perLabel) {
    // The row of a run is not stored; its label is looked up through this array instead.
    Workspace valueSpace(cx, std::max<size_t>(total, 1) * sizeof(T));
    T* value = valueSpace.data<T>();
    parallelRows(rows, [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row)
        for (int32_t i = first[row]; i < first[row + 1]; ++i)
          value[i] = labels[row * width + runs[i].begin];
    });
    uniteAll(r, D, H, connectivity, [&](int32_t i, int32_t j) { return value[i] == value[j]; });
  } else {
    uniteAll(r, D, H, connectivity, [](int32_t, int32_t) { return true; });
  }

  // Parents come before their children, so one pass numbers all; done ones are marked by the sign.
  int32_t n = 0;
  for (size_t i = 0; i < total; ++i) {
    const int32_t p = parent[i];
    parent[i] = p == static_cast<int32_t>(i) ? -++n : parent[p];
  }
  *count = n;
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    std::memset(out + begin * width, 0, static_cast<size_t>((end - begin) * width) * sizeof *out);
    for (int64_t row = begin; row < end; ++row)
      for (int32_t i = first[row]; i < first[row + 1]; ++i)
        std::fill(out + row * width + runs[i].begin, out + row * width + runs[i].end, -parent[i]);
  });
}

}  // namespace

template <>
void run(const ConnectedComponents& op, Context& cx) {
  withLabelType(op.labels, [&](auto* labels) { components(labels, op, cx); });
}

}  // namespace rvx::cpu
