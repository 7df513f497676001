// Components of equal values: the runs of each label are listed, and united where they touch.
//
// Runs of different labels may follow each other without a gap, which masks cannot say. Work: two scans of
// the labels and one write of the result, about 12 bytes and the label a run, and a few unions a run.
#pragma once
#include <algorithm>

#include "core/pool.h"
#include "cpu/label_rows.h"
#include "cpu/union_find.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace detail {

template <class T>
struct LabelRuns {
  struct Run {
    int32_t begin, end;  // w, end exclusive
  };
  const int32_t* rows;  // first run of each row; rows[R] = number of runs
  const Run* runs;
  const T* value;
  int32_t* parent;
};

// Unites the touching runs of two rows. reach = 1 lets runs touch diagonally.
template <class T>
void uniteRows(const LabelRuns<T>& r, int64_t rowA, int64_t rowB, int32_t reach) {
  int32_t a = r.rows[rowA], b = r.rows[rowB];
  const int32_t endA = r.rows[rowA + 1], endB = r.rows[rowB + 1];
  const auto touch = [&](int32_t i, int32_t j) {
    return r.runs[i].begin < r.runs[j].end + reach && r.runs[j].begin < r.runs[i].end + reach &&
           r.value[i] == r.value[j];
  };
  while (a < endA && b < endB) {
    if (touch(a, b)) unite(r.parent, a, b);
    if (r.runs[a].end < r.runs[b].end) {
      ++a;
    } else if (r.runs[a].end > r.runs[b].end) {
      ++b;
    } else {
      // Both diagonals count where two runs end together and others follow without a gap.
      if (b + 1 < endB && touch(a, b + 1)) unite(r.parent, a, b + 1);
      ++a;
    }
  }
}

// Unites row (d, h) with its neighbours in the plane before; inPlane: with row h - 1 of its own.
template <class T>
void uniteRow(const LabelRuns<T>& r, int64_t d, int64_t h, int64_t H, int connectivity,
              bool inPlane, bool before) {
  const int64_t row = d * H + h;
  if (r.rows[row] == r.rows[row + 1]) return;
  if (inPlane && h > 0) uniteRows(r, row, row - 1, connectivity >= 18);
  if (!before) return;
  uniteRows(r, row, row - H, connectivity >= 18);
  if (connectivity == 6) return;
  if (h > 0) uniteRows(r, row, row - H - 1, connectivity == 26);
  if (h + 1 < H) uniteRows(r, row, row - H + 1, connectivity == 26);
}

}  // namespace detail

// Writes the components of equal nonzero labels, and returns how many there are.
template <class T>
int32_t componentsPerLabel(const T* labels, const Int3& size, int connectivity, int32_t* out,
                           Context& cx) {
  const int64_t D = size[0], H = size[1], W = size[2], rows = D * H;
  Workspace rowSpace(cx, static_cast<size_t>(rows + 1) * sizeof(int32_t));
  int32_t* first = rowSpace.data<int32_t>();
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int32_t n = 0;
      forEachLabelRun(labels + row * W, W, [&](int64_t, int64_t, T) { ++n; });
      first[row + 1] = n;
    }
  });
  first[0] = 0;
  for (int64_t row = 0; row < rows; ++row) first[row + 1] += first[row];

  using Run = typename detail::LabelRuns<T>::Run;
  const auto total = static_cast<size_t>(first[rows]);
  Workspace runSpace(cx, std::max<size_t>(total, 1) * (sizeof(Run) + sizeof(int32_t) + sizeof(T)));
  Run* runs = runSpace.data<Run>();
  int32_t* parent = reinterpret_cast<int32_t*>(runs + total);
  T* value = reinterpret_cast<T*>(parent + total);
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      int32_t i = first[row];
      forEachLabelRun(labels + row * W, W, [&](int64_t b, int64_t e, T label) {
        runs[i] = {static_cast<int32_t>(b), static_cast<int32_t>(e)};
        value[i] = label;
        parent[i] = i;
        ++i;
      });
    }
  });

  const detail::LabelRuns<T> r{first, runs, value, parent};
  const auto uniteInside = [&](int64_t begin, int64_t end) {
    for (int64_t d = begin; d < end; ++d)
      for (int64_t h = 0; h < H; ++h) detail::uniteRow(r, d, h, H, connectivity, true, d > begin);
  };
  uniteBySlabs(D, uniteInside, [&](int64_t d) {
    for (int64_t h = 0; h < H; ++h) detail::uniteRow(r, d, h, H, connectivity, false, true);
  });

  // Parents come before their children, so one pass numbers all.
  int32_t n = 0;
  for (size_t i = 0; i < total; ++i) {
    const int32_t p = parent[i];
    parent[i] = p == static_cast<int32_t>(i) ? ++n : parent[p];
  }
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    std::memset(out + begin * W, 0, static_cast<size_t>((end - begin) * W) * sizeof *out);
    for (int64_t row = begin; row < end; ++row)
      for (int32_t i = first[row]; i < first[row + 1]; ++i)
        std::fill(out + row * W + runs[i].begin, out + row * W + runs[i].end, parent[i]);
  });
  return n;
}

}  // namespace rvx::cpu
