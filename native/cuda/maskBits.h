// A mask as bits: a word for 32 voxels along w, every row from a word of its own on, zeros behind a row's end. 1/8 byte a voxel, so
// that what follows is independent of the map's type and mostly runs out of the cache.
#pragma once
#include "cuda/launch.h"
#include "ops/elementType.h"
#include "ops/labels.h"

namespace rvx::cuda {

constexpr int kBitsThreads = 256;
constexpr int kBitsRows = kBitsThreads / 32;  // a warp takes a row

// `rows` rows of `width` voxels.
struct BitRows {
  int rows, width, words;  // words of one row
  BitRows(int64_t rows, int64_t width)
      : rows(static_cast<int>(rows)),
        width(static_cast<int>(width)),
        words(static_cast<int>((width + 31) / 32)) {}
  int64_t size() const { return int64_t{rows} * words; }
};

RVX_DEVICE bool bitAt(uint32_t word, int w) { return (word >> (w & 31) & 1u) != 0; }

// Eight loads are under way before the first ballot.
template <class T, class Member>
RVX_KERNEL(kBitsThreads)
packBits(const T* x, Member member, BitRows grid, uint32_t* bits) {
  constexpr int kAhead = 8;
  const int lane = static_cast<int>(threadIdx.x % 32);
  const int row = static_cast<int>(blockIdx.x * kBitsRows + threadIdx.x / 32);
  if (row >= grid.rows) return;
  const T* line = x + int64_t{row} * grid.width;
  uint32_t* out = bits + int64_t{row} * grid.words;
  for (int first = 0; first < grid.words; first += 32) {
    uint32_t mine = 0;
    const int count = grid.words - first < 32 ? grid.words - first : 32;
    for (int c = 0; c < count; c += kAhead) {
      bool is[kAhead];
      RVX_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        const int64_t w = int64_t{32} * (first + c + i) + lane;
        is[i] = w < grid.width && member(ld(line + w));
      }
      RVX_UNROLL
      for (int i = 0; i < kAhead; ++i) {
        if (c + i >= count) break;
        const uint32_t word = ballot(is[i]);
        if (lane == c + i) mine = word;
      }
    }
    if (lane < count) st(out + first + lane, mine);
  }
}

// `member` is a function object that kernels can call: whether a value belongs to the mask.
template <class Member>
void packMask(Context& cx, const char* name, const Input& map, const Member& member,
              const BitRows& grid, uint32_t* bits) {
  withLabelType(map, [&](auto* x) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(x)>>;
    launch(cx, name, blocksFor(grid.rows, kBitsRows), kBitsThreads, 0, &packBits<T, Member>, x,
           member, grid, bits);
  });
}

}  // namespace rvx::cuda
