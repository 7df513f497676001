// connectedComponents: union-find over runs of words, the lowest index the root.
//
// A segment is a run of foreground (perLabel: of one label) inside a word of 32 voxels; components[first voxel] is its parent, so
// that no memory beside one bit a voxel (two with perLabel) is needed. mark: words of foreground, and each segment's first parent: a
// run's later segments hang on its first. unite: a thread joins a word with the words of two (6) or four (18, 26) rows before it, by
// one union for each pair of runs that touch, found by masks of the words (below). flatten: parents become roots; roots are counted
// by block; scan; number: root r becomes -number in components[r]. write: a word's labels, from its own segments' parents and
// their roots' numbers, which other warps may have turned into labels meanwhile: of either sign, |number|.
// Unions: atomicMin at the root (Playne, Hawick: A new algorithm for parallel connected-component labelling on GPUs, TPDS 2018);
// a stale parent is still an ancestor, so plain loads will do. Roots are lowest indices whatever the order: labels in raster order of
// each component's first voxel, the same bits every run.
//
// Least bytes: one read of the labels, 4 written a voxel. Words: about 1/8 byte a voxel and read for each of the four launches between;
// segments: 12 bytes and a few unions each. No FLOPs: some ten integer operations a word for each two rows that it is joined with. Worst:
// random 30-50 % density (a segment for every four voxels; all unions are in global memory), and rows far from a multiple of 32, where
// lanes idle.
//
// Limits: one map of fewer than 2^31 voxels of u8, i16 or i32 (ops/labels.h), so that parents and labels are int32 and lie in the result;
// connectivity 6, 18 or 26.
#include "cuda/labelWords.h"
#include "cuda/scan.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

// One bit a voxel, words of a row next to each other.
struct Words {
  uint32_t* foreground;
  uint32_t* starts;  // first voxels of runs; nullptr where the foreground tells: not perLabel
};

// First voxels of segments: the word's first voxel is one too.
RVX_DEVICE uint32_t segments(uint32_t foreground, uint32_t starts) {
  return starts | (foreground & 1);
}
// First voxel of the segment that has this bit.
RVX_DEVICE int segmentOf(uint32_t segments, int bit) {
  return 31 - leadingZeros(segments & ((2u << bit) - 1));
}
// Word i of the map's segments.
RVX_DEVICE uint32_t segmentsAt(const Words& words, int64_t i) {
  const uint32_t foreground = ld(words.foreground + i);
  return segments(foreground,
                  words.starts ? ld(words.starts + i) : foreground & ~(foreground << 1));
}

template <class T>
RVX_KERNEL(kLabelThreads)
mark(const T* labels, LabelWords g, Words words, int32_t* parent) {
  const int64_t at = int64_t{blockIdx.x} * kLabelWarps + threadIdx.x / 32;
  if (at >= g.allStrips()) return;
  const Strip strip(g, static_cast<int32_t>(at));
  const auto lane = static_cast<int>(threadIdx.x % 32);
  const int32_t row = strip.row * g.width;
  const bool perLabel = words.starts != nullptr;
  // The voxel before the word, and where the run that it may belong to began.
  int32_t last =
      strip.first > 0 ? static_cast<int32_t>(ld(labels + row + strip.first * 32 - 1)) : 0;
  int32_t run = row + strip.first * 32;
  uint32_t ownForeground = 0, ownStarts = 0;
  forEachWord(g, strip, labels, [&](int32_t word, T value) {
    const auto v = static_cast<int32_t>(value);
    const int32_t up = shuffleUp(v, 1);
    const int32_t before = lane == 0 ? last : up;
    const uint32_t foreground = ballot(v != 0);
    const uint32_t starts = ballot(v != 0 && (perLabel ? v != before : before == 0));
    last = shuffle(v, 31);
    const int32_t base = row + word * 32;
    if (segments(foreground, starts) >> lane & 1)
      st(parent + base + lane, starts >> lane & 1 ? base + lane : run);
    if (starts) run = base + 31 - leadingZeros(starts);
    if (lane == word - strip.first) ownForeground = foreground, ownStarts = starts;
  });
  if (lane >= strip.last - strip.first) return;
  const int64_t own = int64_t{strip.row} * g.words + strip.first + lane;
  st(words.foreground + own, ownForeground);
  if (perLabel) st(words.starts + own, ownStarts);
}

RVX_DEVICE int32_t rootOf(int32_t* parent, int32_t i) {
  for (int32_t p = ld(parent + i); p != i;) {
    const int32_t next = ld(parent + p);
    if (next == p) return p;
    // Halves the path for those who come later.
    st(parent + i, next);
    i = next;
    p = ld(parent + i);
  }
  return i;
}
RVX_DEVICE void unite(int32_t* parent, int32_t a, int32_t b) {
  for (;;) {
    a = rootOf(parent, a);
    b = rootOf(parent, b);
    if (a == b) return;
    if (a > b) {
      const int32_t t = a;
      a = b, b = t;
    }
    const int32_t before = atomicMin(parent + b, a);
    if (before == b) return;
    // b had got a parent meanwhile: join that one with a.
    b = before;
  }
}

// A word and the bits next to it.
struct Line {
  int32_t base;  // first voxel
  uint32_t foreground, starts;
  uint32_t before;                      // last foreground bit of the word before
  uint32_t nextForeground, nextStarts;  // the word moved by one voxel: bit w is voxel w + 1's

  RVX_DEVICE Line(const LabelWords& g, const Words& words, int32_t row, int32_t j)
      : base(row * g.width + j * 32) {
    const int64_t i = int64_t{row} * g.words + j;
    foreground = ld(words.foreground + i);
    before = j > 0 ? ld(words.foreground + i - 1) >> 31 : 0;
    const uint32_t after = j + 1 < g.words ? ld(words.foreground + i + 1) & 1 : 0;
    uint32_t startAfter;
    if (words.starts) {
      starts = ld(words.starts + i);
      startAfter = j + 1 < g.words ? ld(words.starts + i + 1) & 1 : 0;
    } else {
      starts = foreground & ~(foreground << 1 | before);
      startAfter = after & ~(foreground >> 31);
    }
    nextForeground = foreground >> 1 | after << 31;
    nextStarts = starts >> 1 | startAfter << 31;
  }
};

template <class T>
struct Uniter {
  const T* labels;  // nullptr where not perLabel
  Words words;
  int32_t* parent;

  // First voxel of the segment that ends the word before (row, j).
  RVX_DEVICE int32_t endOfWordBefore(const LabelWords& g, int32_t row, int32_t j) const {
    const uint32_t s = segmentsAt(words, int64_t{row} * g.words + j - 1);
    return row * g.width + j * 32 - 1 - leadingZeros(s);
  }
  // Of the segment that has voxel w of the word, -1 <= w <= 32.
  RVX_DEVICE int32_t segmentWith(const LabelWords& g, const Line& line, int32_t row, int32_t j,
                                 int w) const {
    if (w < 0) return endOfWordBefore(g, row, j);
    return line.base + (w < 32 ? segmentOf(segments(line.foreground, line.starts), w) : 32);
  }

  // Joins word j of a row with that of another row by one union for each pair of runs: at straight neighbours where either run
  // begins (where none does, the voxels before are the same pair), and at diagonal ones where the straight neighbours do not
  // already join the two.
  RVX_DEVICE void joinRows(const LabelWords& g, const Line& a, int32_t row, int32_t j,
                           bool diagonal) const {
    const Line b(g, words, row, j);
    for (int step = 0; step < (diagonal ? 3 : 1); ++step) {
      // Voxel w of a and w + shift of b.
      const int shift = step == 2 ? -1 : step;
      uint32_t m = a.foreground & b.foreground & (a.starts | b.starts);
      if (shift > 0) m = a.foreground & b.nextStarts & (a.nextStarts | ~a.nextForeground);
      if (shift < 0) m = a.starts & (b.foreground << 1 | b.before) & (b.starts | ~b.foreground);
      for (; m; m &= m - 1) {
        const int w = trailingZeros(m);
        if (labels && ld(labels + a.base + w) != ld(labels + b.base + w + shift)) continue;
        unite(parent, a.base + segmentOf(segments(a.foreground, a.starts), w),
              segmentWith(g, b, row, j, w + shift));
      }
    }
  }
};

// With 4 blocks on a multiprocessor asked for, ptxas does not press the kernel into 32 registers and spill.
template <class T>
RVX_KERNEL_BLOCKS(kLabelThreads, 4)
uniteWords(Uniter<T> uniter, LabelWords g, int connectivity) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  if (i >= g.allWords() || ld(uniter.words.foreground + i) == 0) return;
  const auto row = static_cast<int32_t>(i) / g.words, j = static_cast<int32_t>(i) - row * g.words;
  const int32_t d = row / g.height, h = row - d * g.height;
  const Line a(g, uniter.words, row, j);
  // mark did not know where the run before a strip began.
  if (j > 0 && j % kStripWords == 0 && (a.foreground & ~a.starts & 1))
    unite(uniter.parent, a.base, uniter.endOfWordBefore(g, row, j));
  // Rows h - 1 of this plane; h, h - 1, h + 1 of the one before.
  const int neighbours = d == 0 ? 1 : connectivity == 6 ? 2 : 4;
  for (int n = 0; n < neighbours; ++n) {
    const int32_t y = h + (n == 1 ? 0 : n == 3 ? 1 : -1);
    if (y < 0 || y >= g.height) continue;
    uniter.joinRows(g, a, (d - (n > 0)) * g.height + y, j,
                    n < 2 ? connectivity >= 18 : connectivity == 26);
  }
}

// First voxel of word i of the map.
RVX_DEVICE int32_t baseOf(const LabelWords& g, int64_t i) {
  const auto row = static_cast<int32_t>(i) / g.words;
  return row * g.width + (static_cast<int32_t>(i) - row * g.words) * 32;
}

// Only a segment's own thread writes its parent: to halve paths here could put an ancestor over a root that its thread has found.
RVX_KERNEL(kLabelThreads) flatten(LabelWords g, Words words, int32_t* parent, int32_t* roots) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  int32_t found = 0;
  if (i < g.allWords()) {
    const int32_t base = baseOf(g, i);
    for (uint32_t m = segmentsAt(words, i); m; m &= m - 1) {
      const int32_t at = base + trailingZeros(m);
      int32_t root = at;
      for (int32_t p = ld(parent + root); p != root; p = ld(parent + root)) root = p;
      if (root == at)
        ++found;
      else
        st(parent + at, root);
    }
  }
  found = sumBlock(found, sharedMemory<int32_t>());
  if (threadIdx.x == 0) st(roots + blockIdx.x, found);
}

RVX_KERNEL(kLabelThreads)
number(LabelWords g, Words words, int32_t* parent, const int32_t* numbers) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  uint32_t roots = 0;
  int32_t base = 0;
  if (i < g.allWords()) {
    base = baseOf(g, i);
    for (uint32_t m = segmentsAt(words, i); m; m &= m - 1) {
      const int bit = trailingZeros(m);
      if (ld(parent + base + bit) == base + bit) roots |= 1u << bit;
    }
  }
  int32_t total;
  int32_t before = ld(numbers + blockIdx.x) +
                   scanBlock(int32_t{popcount(roots)}, sharedMemory<int32_t>(), total);
  for (; roots; roots &= roots - 1) st(parent + base + trailingZeros(roots), -++before);
}

RVX_KERNEL(kLabelThreads) write(LabelWords g, Words words, int32_t* components) {
  const int64_t at = int64_t{blockIdx.x} * kLabelWarps + threadIdx.x / 32;
  if (at >= g.allStrips()) return;
  const Strip strip(g, static_cast<int32_t>(at));
  const auto lane = static_cast<int>(threadIdx.x % 32);
  uint32_t ownForeground = 0, ownSegments = 0;
  if (lane < strip.last - strip.first) {
    const int64_t own = int64_t{strip.row} * g.words + strip.first + lane;
    ownForeground = ld(words.foreground + own);
    ownSegments = segmentsAt(words, own);
  }
  constexpr int kAtOnce = 4;
  constexpr int32_t kBackground = INT32_MIN;
  for (int32_t j = strip.first; j < strip.last; j += kAtOnce) {
    int32_t label[kAtOnce];
    const int32_t base = strip.row * g.width + j * 32;
    RVX_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      label[i] = kBackground;
      if (j + i >= strip.last) continue;
      const uint32_t foreground = shuffle(ownForeground, j + i - strip.first);
      const uint32_t inWord = shuffle(ownSegments, j + i - strip.first);
      if (foreground >> lane & 1)
        label[i] = ld(components + base + i * 32 + segmentOf(inWord, lane));
    }
    // Not negative: the root's place.
    RVX_UNROLL
    for (int i = 0; i < kAtOnce; ++i)
      if (label[i] >= 0) label[i] = ld(components + label[i]);
    // Labels overwrite the parents that other lanes have read.
    syncWarp();
    RVX_UNROLL
    for (int i = 0; i < kAtOnce; ++i) {
      const int64_t w = int64_t{j + i} * 32 + lane;
      if (j + i >= strip.last || w >= g.width) continue;
      const int32_t value = label[i] == kBackground ? 0 : label[i] < 0 ? -label[i] : label[i];
      st(components + base + i * 32 + lane, value);
    }
  }
}

template <class T>
void components(const T* labels, const ConnectedComponents& op, Context& cx) {
  const LabelWords g(volumeSize(op.labels.shape(), "labels"));
  auto* count = op.count.data<int32_t>();
  if (g.rows == 0) {
    cx.device.fillZero(count, sizeof *count);
    return;
  }
  auto* parent = op.components.data<int32_t>();
  const auto all = static_cast<size_t>(g.rows) * static_cast<size_t>(g.words);
  const Workspace space(cx, (op.perLabel ? 2 : 1) * all * sizeof(uint32_t));
  const Words words{space.data<uint32_t>(), op.perLabel ? space.data<uint32_t>() + all : nullptr};
  const unsigned wordBlocks = blocksFor(static_cast<int64_t>(all), kLabelThreads);
  const unsigned stripBlocks = blocksFor(int64_t{g.rows} * g.strips, kLabelWarps);
  const Workspace sums(cx, wordBlocks * sizeof(int32_t));
  auto* roots = sums.data<int32_t>();
  const size_t shared = 32 * sizeof(int32_t);

  launch(cx, "components/mark", stripBlocks, kLabelThreads, 0, &mark<T>, labels, g, words, parent);
  launch(cx, "components/unite", wordBlocks, kLabelThreads, 0, &uniteWords<T>,
         Uniter<T>{op.perLabel ? labels : nullptr, words, parent}, g,
         static_cast<int>(op.connectivity));
  launch(cx, "components/flatten", wordBlocks, kLabelThreads, shared, &flatten, g, words, parent,
         roots);
  exclusiveScan(cx, roots, wordBlocks, roots, count);
  launch(cx, "components/number", wordBlocks, kLabelThreads, shared, &number, g, words, parent,
         roots);
  launch(cx, "components/write", stripBlocks, kLabelThreads, 0, &write, g, words, parent);
}

}  // namespace

template <>
void run(const ConnectedComponents& op, Context& cx) {
  withLabelType(op.labels, [&](auto* labels) { components(labels, op, cx); });
}

}  // namespace rvx::cuda
