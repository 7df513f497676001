// Runs of voxels by bit arithmetic: no branch depends on where a run begins or ends.
//
// With A the mask of a row, a run starts at the bits A & ~(A << 1), and the run of a voxel is the number
// of starts up to it. In J + Y, with Y a part of J, the carry makes the lowest bit of Y in each run of J
// the only one of Y to become 0; so Y & ~(J + Y) is one voxel for each run of J that Y touches.
#include "cpu/isa/row_bundles.h"

#include <algorithm>
#include <cstring>

#include "cpu/union_find.h"

namespace rvx::cpu::RVX_ISA {
namespace {

inline int32_t count(uint64_t bits) { return __builtin_popcountll(bits); }
inline int lowest(uint64_t bits) { return __builtin_ctzll(bits); }
inline uint64_t through(int bit) { return ~uint64_t{0} >> (63 - bit); }

// The nonzero ones of n <= 64 elements.
template <class T>
uint64_t mask(const T* x, int64_t n) {
  if (n <= 8) {  // narrow maps
    uint64_t bits = 0;
    for (int64_t i = 0; i < n; ++i) bits |= static_cast<uint64_t>(x[i] != 0) << i;
    return bits;
  }
  uint8_t set[64];
  T any = 0;
  if (n == 64) {
    for (int i = 0; i < 64; ++i) any |= x[i];
    if (!any) return 0;
    for (int i = 0; i < 64; ++i) set[i] = x[i] != 0;
  } else {
    for (int64_t i = 0; i < n; ++i) any |= x[i];
    if (!any) return 0;
    std::memset(set, 0, sizeof set);
    for (int64_t i = 0; i < n; ++i) set[i] = x[i] != 0;
  }
  uint64_t bits = 0;
  for (int byte = 0; byte < 8; ++byte) {
    uint64_t eight = 0;
    for (int i = 7; i >= 0; --i) eight = eight << 8 | set[8 * byte + i];
    // Bit 0 of byte i to bit i of the highest byte.
    bits |= (eight * 0x0102040810204080u >> 56) << (8 * byte);
  }
  return bits;
}

// Walks the words of a bundle: the union of its rows, where its runs start, and the last run before.
template <int kRows>
struct Walk {
  const uint64_t* bits;
  int32_t run;  // the last that starts before the word; first - 1 at the beginning
  uint64_t all = 0, starts = 0;

  Walk(const RowBundles& r, int64_t bundle)
      : bits(r.bits + bundle * r.words * kRows), run(r.first[bundle] - 1) {}

  void enter() {
    const uint64_t carry = all >> 63;
    all = 0;
    for (int row = 0; row < kRows; ++row) all |= bits[row];
    starts = all & ~(all << 1 | carry);
  }
  void leave() {
    run += count(starts);
    bits += kRows;
  }
  // The run of a voxel of the word, or else the last before it; through: the bits up to the voxel's.
  int32_t at(uint64_t through) const { return run + count(starts & through); }
};

// The union of those rows of a bundle that are bits of kFace.
template <int kRows, int kFace>
uint64_t facing(const uint64_t* bits) {
  uint64_t all = 0;
  for (int row = 0; row < kRows; ++row)
    if (kFace >> row & 1) all |= bits[row];
  return all;
}

// Unites the runs of bundles a and b whose facing rows touch; kDiagonal: also where they are one voxel
// apart along w.
template <int kRows, int kFaceA, int kFaceB, bool kDiagonal>
void unitePair(const RowBundles& r, int64_t bundleA, int64_t bundleB) {
  if (r.first[bundleB] == r.first[bundleB + 1]) return;
  Walk<kRows> a(r, bundleA), b(r, bundleB);
  uint64_t lastB = 0, faceB = facing<kRows, kFaceB>(b.bits);
  for (int64_t word = 0; word < r.words; ++word) {
    const uint64_t faceA = facing<kRows, kFaceA>(a.bits);
    const uint64_t nextB = word + 1 < r.words ? facing<kRows, kFaceB>(b.bits + kRows) : 0;
    a.enter();
    b.enter();
    if (faceA) {
      uint64_t same = faceA & faceB, before = 0, after = 0;
      if constexpr (kDiagonal) {
        // A voxel of A whose neighbour in B is a step back or ahead, unless two voxels at the same w (of
        // this word) say the same.
        before = faceA & ~(faceA << 1) & (faceB << 1 | lastB) & ~faceB;
        after = faceA & ~(faceA >> 1) & (faceB >> 1 | nextB << 63) & ~faceB;
        same |= (before | after) & b.all;
        before &= ~b.all;
        after &= ~b.all;
      }
      const uint64_t both = a.all & b.all;
      for (uint64_t at = (same & ~(both + same)) | before; at; at &= at - 1) {
        const uint64_t voxel = at ^ (at - 1);
        unite(r.parent, a.at(voxel), b.at(voxel));
      }
      if constexpr (kDiagonal)
        for (; after; after &= after - 1) {
          const uint64_t voxel = after ^ (after - 1);
          unite(r.parent, a.at(voxel), b.at(voxel) + 1);
        }
    }
    a.leave();
    b.leave();
    lastB = faceB >> 63;
    faceB = nextB;
  }
}

template <class T>
void maskRow(const T* row, int64_t W, uint64_t* bits, int64_t stride) {
  for (int64_t w = 0; w < W; w += 64, bits += stride)
    *bits = mask(row + w, std::min<int64_t>(64, W - w));
}

template <int kRows>
int32_t countRuns(const RowBundles& r, int64_t bundle) {
  int32_t runs = 0;
  uint64_t carry = 0;
  const uint64_t* bits = r.bits + bundle * r.words * kRows;
  for (int64_t word = 0; word < r.words; ++word, bits += kRows) {
    const uint64_t all = facing<kRows, (1 << kRows) - 1>(bits);
    runs += count(all & ~(all << 1 | carry));
    carry = all >> 63;
  }
  return runs;
}

template <class T>
void maskAll(const RowBundles& r, const T* labels, int64_t begin, int64_t end) {
  const int64_t rows = r.side * r.side;
  for (int64_t bundle = begin; bundle < end; ++bundle) {
    for (int64_t i = 0; i < rows; ++i) {
      const int64_t d = bundle / r.across * r.side + i / r.side;
      const int64_t h = bundle % r.across * r.side + i % r.side;
      uint64_t* bits = r.bits + bundle * r.words * rows + i;
      if (d < r.D && h < r.H)
        maskRow(labels + (d * r.H + h) * r.W, r.W, bits, rows);
      else
        for (int64_t word = 0; word < r.words; ++word) bits[word * rows] = 0;
    }
    r.first[bundle + 1] = rows == 1 ? countRuns<1>(r, bundle) : countRuns<4>(r, bundle);
  }
}

// The voxels of one word of a row, `set`; n of them are in the map. starts, run: as of Walk.
void writeWord(uint64_t set, uint64_t starts, int32_t run, const int32_t* value, int64_t n,
               int32_t* out) {
  if (count(set ^ set << 1) > 6) {
    for (int64_t bit = 0; bit < n; ++bit, set >>= 1, starts >>= 1) {
      run += static_cast<int32_t>(starts & 1);
      out[bit] = value[run] & -static_cast<int32_t>(set & 1);
    }
    return;
  }
  while (set) {
    const int begin = lowest(set);
    const uint64_t ends = ~set & ~through(begin);
    const int end = ends ? lowest(ends) : 64;
    std::fill(out + begin, out + end, value[run + count(starts & through(begin))]);
    set = ends ? set & ~through(end) : 0;
  }
}

template <int kRows>
void write(const RowBundles& r, int64_t begin, int64_t end, int32_t* out) {
  for (int64_t row = begin; row < end; ++row) {
    const int64_t d = row / r.H, h = row % r.H;
    const int64_t bundle = d / r.side * r.across + h / r.side;
    if (r.first[bundle] == r.first[bundle + 1]) continue;
    const int64_t i = d % r.side * r.side + h % r.side;
    Walk<kRows> walk(r, bundle);
    for (int64_t w = 0; w < r.W; w += 64) {
      walk.enter();
      if (const uint64_t set = walk.bits[i])
        writeWord(set, walk.starts, walk.run, r.parent, std::min<int64_t>(64, r.W - w),
                  out + row * r.W + w);
      walk.leave();
    }
  }
}

}  // namespace

void maskBundles(const RowBundles& r, const void* labels, int64_t elementBytes, int64_t begin,
                 int64_t end) {
  if (elementBytes == 1)
    maskAll(r, static_cast<const uint8_t*>(labels), begin, end);
  else if (elementBytes == 2)
    maskAll(r, static_cast<const int16_t*>(labels), begin, end);
  else
    maskAll(r, static_cast<const int32_t*>(labels), begin, end);
}

void uniteBundles(const RowBundles& r, int connectivity, int64_t plane, bool inPlane, bool before) {
  for (int64_t h = 0; h < r.across; ++h) {
    const int64_t at = plane * r.across + h, above = at - r.across;
    if (r.first[at] == r.first[at + 1]) continue;
    const bool left = h > 0, right = h + 1 < r.across;
    if (r.side == 2) {  // 26; rows 0 1 of a bundle lie at its lower d, rows 0 2 at its lower h
      if (inPlane && left) unitePair<4, 0b0101, 0b1010, true>(r, at, at - 1);
      if (!before) continue;
      unitePair<4, 0b0011, 0b1100, true>(r, at, above);
      if (left) unitePair<4, 0b0001, 0b1000, true>(r, at, above - 1);
      if (right) unitePair<4, 0b0010, 0b0100, true>(r, at, above + 1);
    } else if (connectivity == 6) {
      if (inPlane && left) unitePair<1, 1, 1, false>(r, at, at - 1);
      if (before) unitePair<1, 1, 1, false>(r, at, above);
    } else {  // 18
      if (inPlane && left) unitePair<1, 1, 1, true>(r, at, at - 1);
      if (!before) continue;
      unitePair<1, 1, 1, true>(r, at, above);
      if (left) unitePair<1, 1, 1, false>(r, at, above - 1);
      if (right) unitePair<1, 1, 1, false>(r, at, above + 1);
    }
  }
}

void numberBundles(const RowBundles& r, int64_t plane, int64_t roots, int32_t n) {
  for (int i = 0; i < 4; i += 2)
    for (int64_t h = 0; h < 2 * r.across; ++h) {
      const int64_t bundle = plane * r.across + h / 2, row = i + h % 2;
      if (r.first[bundle] == r.first[bundle + 1]) continue;
      Walk<4> walk(r, bundle);
      for (int64_t word = 0; word < r.words; ++word) {
        walk.enter();
        const uint64_t set = walk.bits[row];
        for (uint64_t at = set & ~(walk.all + set); at; at &= at - 1) {
          const int32_t run = walk.at(at ^ (at - 1));
          // Roots that have their number are negative, those of planes before among them.
          const int32_t of = r.parent[run] < 0 ? run : r.parent[run];
          if (r.parent[of] < 0) continue;
          r.parent[of] = -++n;
          if (--roots == 0) return;
        }
        walk.leave();
      }
    }
}

void writeRows(const RowBundles& r, int64_t begin, int64_t end, int32_t* out) {
  std::memset(out + begin * r.W, 0, static_cast<size_t>((end - begin) * r.W) * sizeof *out);
  if (r.side == 1)
    write<1>(r, begin, end, out);
  else
    write<4>(r, begin, end, out);
}

}  // namespace rvx::cpu::RVX_ISA
