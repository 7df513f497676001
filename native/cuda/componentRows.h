// Rows of a component table (ops/labels.h) gathered by atomics on integers: the order does not matter. While they are gathered, a row
// without voxels has lowest places of INT32_MAX; finishRow turns that into what the table says.
#pragma once
#include "cuda/labelWords.h"
#include "cuda/reduce.h"

namespace rvx::cuda {

constexpr int kColumns = static_cast<int>(kTableColumns);
// Column 0 is a sum, 4 to 6 are maxima, the others minima.
RVX_DEVICE bool isHigh(int column) { return column >= 4 && column <= 6; }

RVX_DEVICE int32_t emptyColumn(int column) {
  return column == 0 ? 0 : isHigh(column) ? -1 : INT32_MAX;
}
RVX_DEVICE void mergeColumn(int32_t* row, int column, int32_t value) {
  if (column == 0)
    atomicAdd(row, value);
  else if (isHigh(column))
    atomicMax(row + column, value);
  else
    atomicMin(row + column, value);
}

// The columns of one or more runs.
struct RowSums {
  int32_t column[kColumns];

  RVX_DEVICE RowSums() {
    RVX_UNROLL
    for (int c = 0; c < kColumns; ++c) column[c] = emptyColumn(c);
  }
  // The voxels w in [begin, end) of row (d, h).
  RVX_DEVICE void add(const LabelWords& g, int32_t d, int32_t h, int32_t begin, int32_t end) {
    const int32_t low[3] = {d, h, begin}, high[3] = {d, h, end - 1};
    column[0] += end - begin;
    RVX_UNROLL
    for (int axis = 0; axis < 3; ++axis) {
      column[1 + axis] = Minimum()(column[1 + axis], low[axis]);
      column[4 + axis] = Maximum()(column[4 + axis], high[axis]);
    }
    column[7] = Minimum()(column[7], (d * g.height + h) * g.width + begin);
  }
  RVX_DEVICE void mergeInto(int32_t* row) const {
    RVX_UNROLL
    for (int c = 0; c < kColumns; ++c) mergeColumn(row, c, column[c]);
  }
  // Of all lanes, by all lanes together.
  RVX_DEVICE void mergeWarpInto(int32_t* row) const {
    if (!any(column[0] != 0)) return;
    RowSums sums;
    RVX_UNROLL
    for (int c = 0; c < kColumns; ++c)
      sums.column[c] = c == 0      ? reduceWarp<Plus>(column[c])
                       : isHigh(c) ? reduceWarp<Maximum>(column[c])
                                   : reduceWarp<Minimum>(column[c]);
    if (threadIdx.x % 32 == 0) sums.mergeInto(row);
  }
};

RVX_DEVICE void finishRow(int32_t* row) {
  if (ld(row) != 0) return;
  for (int c = 1; c < kColumns; ++c) st(row + c, c < 4 ? 0 : -1);
}

// Templates, so that several files may have them.
template <class Int>
RVX_KERNEL(kLabelThreads)
clearRows(Int* table, int64_t rows) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  if (i < rows * kColumns) st(table + i, emptyColumn(static_cast<int>(i % kColumns)));
}
template <class Int>
RVX_KERNEL(kLabelThreads)
finishRows(Int* table, int64_t rows) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  if (i < rows) finishRow(table + i * kColumns);
}

}  // namespace rvx::cuda
