// Walking a label map row by row: the runs of equal or of nonzero values along w.
//
// Label maps are mostly background, and what is not comes in runs: work per run instead of per voxel
// is what makes the label operations fast.
#pragma once
#include <cstdint>
#include <cstring>

#include "core/pool.h"
#include "ops/elementType.h"
#include "ops/labels.h"

namespace rvx::cpu {

namespace detail {

// Index of the first nonzero (zero, with Zero = true) element at or after i, or n. Eight bytes at a
// time.
template <bool Zero, class T>
int64_t find(const T* row, int64_t i, int64_t n) {
  constexpr int64_t kStep = static_cast<int64_t>(sizeof(uint64_t) / sizeof(T));
  for (; i + kStep <= n; i += kStep) {
    uint64_t word;
    std::memcpy(&word, row + i, sizeof word);
    if constexpr (Zero) {
      constexpr uint64_t kLow = sizeof(T) == 1   ? 0x0101010101010101u
                                : sizeof(T) == 2 ? 0x0001000100010001u
                                                 : 0x0000000100000001u;
      constexpr uint64_t kHigh = kLow << (8 * sizeof(T) - 1);
      if ((word - kLow) & ~word & kHigh) break;
    } else if (word) {
      break;
    }
  }
  while (i < n && (row[i] == 0) != Zero) ++i;
  return i;
}

}  // namespace detail

// Calls f(begin, end) for each maximal run of nonzero elements.
template <class T, class F>
void forEachRun(const T* row, int64_t n, F&& f) {
  for (int64_t i = detail::find<false>(row, 0, n); i < n;) {
    const int64_t end = detail::find<true>(row, i, n);
    f(i, end);
    i = detail::find<false>(row, end, n);
  }
}

// Calls f(begin, end, value) for each maximal run of equal nonzero elements.
template <class T, class F>
void forEachLabelRun(const T* row, int64_t n, F&& f) {
  for (int64_t i = detail::find<false>(row, 0, n); i < n;) {
    const T value = row[i];
    int64_t end = i + 1;
    while (end < n && row[end] == value) ++end;
    f(i, end, value);
    i = detail::find<false>(row, end, n);
  }
}

// The rows of a map, before `end`, that are not all background, found in rising order. Background is
// skipped across rows: in a CT they may be as short as there are slices.
template <class T>
class NonzeroRows {
 public:
  NonzeroRows(const T* map, int64_t width, int64_t end) : map_(map), width_(width), end_(end) {}

  // The first at or after `row`, which never falls; `end` where there is none.
  int64_t next(int64_t row) {
    if (at_ < row * width_)
      at_ = detail::find<false>(map_, background(row * width_), end_ * width_);
    return at_ / width_;
  }

 private:
  // Behind whole cache lines of background from voxel i on.
  int64_t background(int64_t i) const {
    constexpr int64_t kWords = 64 / sizeof(uint64_t), kStep = 64 / sizeof(T);
    for (; i + kStep <= end_ * width_; i += kStep) {
      uint64_t words[kWords], any = 0;
      std::memcpy(words, map_ + i, sizeof words);
      for (uint64_t word : words) any |= word;
      if (any) break;
    }
    return i;
  }

  const T* map_;
  int64_t width_, end_, at_ = -1;  // a voxel
};

// Calls body(first row, last row + 1) for fixed pieces of 0..rows-1, at most 64 of them.
template <class Body>
void parallelRows(int64_t rows, Body&& body) {
  if (rows > 0) parallelChunks(rows, (rows + 63) / 64, body);
}

}  // namespace rvx::cpu
