// The passes of the exact distance transform, shared by distanceTransform and surfaceDistances.
//
// Between the passes stands where the nearest site lies, not how far it is: a voxel's distance in voxels along w, then along w and h.
// That takes 2 and 4 bytes where every axis is below 65535, twice that else, and the squares in double are made of it anew, with the
// bits of cpu/distance_lines.h.
//
// Along w a warp takes a row of bits and knows the last site before each word and the first one behind it. Along h and d a
// thread takes a line (neighbours in w are neighbouring threads) and builds its lower envelope, math/envelope.h; the sites on it stand
// in a stack of one index a voxel, laid out as the lines are. The two on top are in registers.
#pragma once
#include <limits>

#include "cuda/maskBits.h"
#include "math/envelope.h"

namespace rvx::cuda {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kLineThreads = 64;
constexpr int kLineBlocks = 16;  // on a multiprocessor: 64 registers a thread

// C is what counts voxels of an axis: uint16_t or uint32_t. "No site" is its greatest value.
template <class C>
RVX_DEVICE constexpr C noSite() {
  return static_cast<C>(~C{0});
}
inline bool fitsIn16Bits(const Int3& size) {
  for (int64_t n : size)
    if (n >= 65535) return false;
  return true;
}

// Offset in voxels of the nearest site of the plane.
template <class C>
struct alignas(2 * sizeof(C)) InPlane {
  C w, h;
};

// How a line's stored values become mm^2: before the pass along h, and before the one along d.
template <class C>
struct FromRow {
  using Stored = C;
  double w2;
  RVX_DEVICE static bool isSite(C k) { return k != noSite<C>(); }
  RVX_DEVICE double value(C k) const {
    const auto w = static_cast<double>(k);
    return w2 * (w * w);
  }
};
template <class C>
struct FromPlane {
  using Stored = InPlane<C>;
  double w2, h2;
  RVX_DEVICE static bool isSite(Stored o) { return o.w != noSite<C>(); }
  RVX_DEVICE double value(Stored o) const {
    const auto w = static_cast<double>(o.w), h = static_cast<double>(o.h);
    return w2 * (w * w) + h2 * (h * h);
  }
};

// The lower envelope of one line, by one thread. Element i of the line is line[i * stride], of the stack stack[i * stride]; a volume
// has fewer than 2^31 voxels.
template <class C, class Metric>
class LineEnvelope {
 public:
  using Stored = typename Metric::Stored;
  struct Entry {
    Site site;
    Stored stored;
  };

  RVX_DEVICE LineEnvelope(const Stored* line, C* stack, int stride, Metric metric, double step2)
      : line_(line), stack_(stack), stride_(stride), metric_(metric), step2_(step2) {}

  // Whether there is a site.
  RVX_DEVICE bool build(int n) {
    constexpr int kAhead = 4;  // loads that do not wait for the envelope
    Site below{0, 0}, top{0, 0};
    for (int first = 0; first < n; first += kAhead) {
      Stored ahead[kAhead];
      RVX_UNROLL
      for (int k = 0; k < kAhead; ++k)
        if (first + k < n) ahead[k] = ld(line_ + (first + k) * stride_);
      RVX_UNROLL
      for (int k = 0; k < kAhead; ++k) {
        if (first + k >= n || !metric_.isSite(ahead[k])) continue;
        const Site next{metric_.value(ahead[k]), first + k};
        while (count_ >= 2 && hidden(below, top, next, step2_)) {
          --count_;
          top = below;
          if (count_ >= 2) below = entry(count_ - 2).site;
        }
        st(stack_ + count_ * stride_, static_cast<C>(next.at));
        ++count_;
        below = top, top = next;
      }
    }
    return count_ > 0;
  }

  // Calls emit(i, square, entry) in turn for the i with wanted(i): the envelope there and whose parabola it is. After build().
  template <class Wanted, class Emit>
  RVX_DEVICE void walk(int n, Wanted&& wanted, Emit&& emit) const {
    int current = 0;
    Entry here = entry(0), next = here;
    if (count_ > 1) next = entry(1);
    for (int i = 0; i < n; ++i) {
      if (!wanted(i)) continue;
      double best = parabola(here.site, i, step2_);
      while (current + 1 < count_) {
        const double other = parabola(next.site, i, step2_);
        if (other > best) break;
        best = other;
        here = next;
        ++current;
        if (current + 1 < count_) next = entry(current + 1);
      }
      emit(i, best, here);
    }
  }

 private:
  RVX_DEVICE Entry entry(int place) const {
    const C at = ld(stack_ + place * stride_);
    const Stored stored = ld(line_ + at * stride_);
    return {{metric_.value(stored), static_cast<int32_t>(at)}, stored};
  }

  const Stored* line_;
  C* stack_;
  int stride_;
  Metric metric_;
  double step2_;
  int count_ = 0;
};

// out[row, w] = voxels from w to the nearest bit of its row.
template <class C>
RVX_KERNEL(kBitsThreads)
distancesAlongW(const uint32_t* bits, BitRows grid, C* out) {
  constexpr int64_t kNone = std::numeric_limits<int32_t>::max();
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int row = static_cast<int>(blockIdx.x * kBitsRows + threadIdx.x / 32);
  if (row >= grid.rows) return;
  const uint32_t* words = bits + int64_t{row} * grid.words;
  C* line = out + int64_t{row} * grid.width;
  // The last site before this word and the first one behind it, which every word is searched for but once.
  int64_t last = -1, next = -1;
  int searched = 0;
  for (int c = 0; c < grid.words; ++c) {
    const uint32_t here = ld(words + c);
    const int64_t first = int64_t{32} * c, w = first + lane;
    if (next < first + 32) {
      for (searched = searched > c ? searched : c + 1; searched < grid.words; ++searched)
        if (ld(words + searched)) break;
      next = searched < grid.words ? int64_t{32} * searched + trailingZeros(ld(words + searched))
                                   : kNone;
    }
    const uint32_t low = here << (31 - lane), high = here >> lane;
    const int64_t left = low ? leadingZeros(low) : last < 0 ? kNone : w - last;
    const int64_t right = high ? trailingZeros(high) : next == kNone ? kNone : next - w;
    const int64_t k = left < right ? left : right;
    if (w < grid.width) st(line + w, k == kNone ? noSite<C>() : static_cast<C>(k));
    if (here) last = first + 31 - leadingZeros(here);
  }
}

// What the passes along h and d work on.
struct LineGrid {
  int depth, height, width, words;  // words of a row of bits
  double w2, h2, d2;                // squares of the spacing

  LineGrid(const Int3& size, const Real3& spacing)
      : depth(static_cast<int>(size[0])),
        height(static_cast<int>(size[1])),
        width(static_cast<int>(size[2])),
        words((width + 31) / 32),
        w2(spacing[2] * spacing[2]),
        h2(spacing[1] * spacing[1]),
        d2(spacing[0] * spacing[0]) {}
};

// out[d, h, w] = offset to the nearest site of plane d. columns: bits of the (h, w) that are wanted; nullptr: all.
template <class C>
RVX_KERNEL_BLOCKS(kLineThreads, kLineBlocks)
distancesAlongH(const C* alongW, LineGrid grid, const uint32_t* columns, C* stack,
                InPlane<C>* out) {
  const int64_t line = int64_t{blockIdx.x} * kLineThreads + threadIdx.x;
  if (line >= int64_t{grid.depth} * grid.width) return;
  const int d = static_cast<int>(line / grid.width);
  const int w = static_cast<int>(line - int64_t{d} * grid.width);
  const int stride = grid.width, base = d * grid.height * stride + w;
  LineEnvelope<C, FromRow<C>> envelope(alongW + base, stack + base, stride, {grid.w2}, grid.h2);
  const bool any = envelope.build(grid.height);
  out += base;
  const auto wanted = [&](int h) {
    return !columns || bitAt(ld(columns + h * grid.words + w / 32), w);
  };
  if (!any) {
    for (int h = 0; h < grid.height; ++h)
      if (wanted(h)) st(out + h * stride, InPlane<C>{noSite<C>(), 0});
    return;
  }
  using Entry = typename LineEnvelope<C, FromRow<C>>::Entry;
  envelope.walk(grid.height, wanted, [&](int h, double, const Entry& nearest) {
    const int k = h - nearest.site.at;
    st(out + h * stride, InPlane<C>{nearest.stored, static_cast<C>(k < 0 ? -k : k)});
  });
}

// The passes along w and h. alongW and stack: one C a voxel.
template <class C>
void distancesInPlanes(Context& cx, const uint32_t* sites, const LineGrid& grid,
                       const uint32_t* columns, C* alongW, C* stack, InPlane<C>* out) {
  const BitRows rows(int64_t{grid.depth} * grid.height, grid.width);
  launch(cx, "distances/w", blocksFor(rows.rows, kBitsRows), kBitsThreads, 0, &distancesAlongW<C>,
         sites, rows, alongW);
  launch(cx, "distances/h", blocksFor(int64_t{grid.depth} * grid.width, kLineThreads), kLineThreads,
         0, &distancesAlongH<C>, alongW, grid, columns, stack, out);
}

}  // namespace rvx::cuda
