// How label operations walk a map [D, H, W]: a word is 32 neighbouring voxels of a row, one a lane (the last word of a row may be
// cut), a strip is up to kStripWords words of one row. A warp takes strips; work is per run of equal labels in a word, as on the CPU,
// since label maps are mostly background and what is not comes in runs.
#pragma once
#include <algorithm>

#include "cuda/launch.h"
#include "ops/elementType.h"
#include "ops/labels.h"

namespace rvx::cuda {

constexpr int kWordVoxels = 32;
constexpr int kStripWords = 16;
constexpr int kLabelThreads = 256;
constexpr int kLabelWarps = kLabelThreads / 32;

struct LabelWords {
  int32_t height, width;  // rows of a plane, voxels of a row
  int32_t words, strips;  // of a row
  int32_t rows;

  explicit LabelWords(const Int3& size)
      : height(static_cast<int32_t>(size[1])),
        width(static_cast<int32_t>(size[2])),
        words((width + kWordVoxels - 1) / kWordVoxels),
        strips((words + kStripWords - 1) / kStripWords),
        rows(size[0] * size[1] * size[2] == 0 ? 0 : static_cast<int32_t>(size[0] * size[1])) {}

  // Not more than there are voxels: they fit.
  RVX_DEVICE int32_t allWords() const { return rows * words; }
  RVX_DEVICE int32_t allStrips() const { return rows * strips; }
};

// A row's strip: words first <= j < last.
struct Strip {
  int32_t row, first, last;

  RVX_DEVICE Strip(const LabelWords& g, int32_t strip) : row(strip / g.strips) {
    first = (strip - row * g.strips) * kStripWords;
    last = first + kStripWords < g.words ? first + kStripWords : g.words;
  }
};

// Calls f(word of the row, this lane's value, 0 behind the row's end) for each word of a strip, by all lanes together. Four loads
// of a lane are under way at once.
template <class T, class F>
RVX_DEVICE void forEachWord(const LabelWords& g, const Strip& strip, const T* labels, F&& f) {
  constexpr int kAtOnce = 4;
  const auto lane = static_cast<int32_t>(threadIdx.x % 32);
  const T* line = labels + int64_t{strip.row} * g.width;
  for (int32_t j = strip.first; j < strip.last; j += kAtOnce) {
    T values[kAtOnce];
    RVX_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const int64_t w = int64_t{j + i} * kWordVoxels + lane;
      values[i] = w < g.width && j + i < strip.last ? ld(line + w) : T{0};
    }
    RVX_UNROLL
    for (int i = 0; i < kAtOnce; ++i)
      if (j + i < strip.last) f(j + i, values[i]);
  }
}

// Calls f(begin, end, value) in the first lane of each run of equal nonzero values in a word; w from begin to end - 1. By all lanes
// together, but f by some.
template <class T, class F>
RVX_DEVICE void forEachRunOfWord(int32_t word, T value, F&& f) {
  if (!any(value != 0)) return;
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const auto v = static_cast<int32_t>(value);
  const int32_t before = shuffleUp(v, 1);
  const bool first = lane == 0 || v != before;
  const uint32_t behind = ballot(first) >> lane >> 1;
  if (!first || v == 0) return;
  const int32_t begin = word * kWordVoxels + lane;
  f(begin, begin + (behind ? trailingZeros(behind) + 1 : 32 - lane), v);
}

// Calls f(d, h, begin, end, value) for the runs of all words; the block's warps and the launch's blocks share the strips.
template <class T, class F>
RVX_DEVICE void forEachLabelRun(const LabelWords& g, const T* labels, F&& f) {
  const auto warp = static_cast<int32_t>(threadIdx.x / 32);
  const int64_t step = int64_t{gridDim.x} * kLabelWarps, strips = g.allStrips();
  for (int64_t s = int64_t{blockIdx.x} * kLabelWarps + warp; s < strips; s += step) {
    const Strip strip(g, static_cast<int32_t>(s));
    const int32_t d = strip.row / g.height, h = strip.row - d * g.height;
    forEachWord(g, strip, labels, [&](int32_t word, T value) {
      forEachRunOfWord(word, value,
                       [&](int32_t begin, int32_t end, int32_t v) { f(d, h, begin, end, v); });
    });
  }
}

// Blocks of a kernel that walks all strips with sums of its own: enough for every multiprocessor of the largest chip.
inline unsigned labelBlocks(const LabelWords& g) {
  return blocksFor(std::min<int64_t>(int64_t{g.rows} * g.strips, 2048 * kLabelWarps), kLabelWarps);
}

// A block's own sums by label: the slot of a value > 0 among `slots`, or -1 where another value has taken it; the caller then goes
// to global memory. keys [slots] in shared memory begin as 0.
RVX_DEVICE int claimSlot(int32_t* keys, int slots, int32_t value) {
  const int slot = value % slots;
  const int32_t before = atomicCas(keys + slot, int32_t{0}, value);
  return before == 0 || before == value ? slot : -1;
}

}  // namespace rvx::cuda
