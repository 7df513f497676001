// Words of a mask's bits, and the 32 cells of 2x2x2 voxels (math/surfaceElements.h) that begin with one.
#pragma once
#include "cuda/surfaceBits.h"
#include "math/surfaceElements.h"

namespace rvx::cuda {

// A word of a mask in the coordinates of its volume; 0 outside.
RVX_DEVICE uint32_t wordAt(const uint32_t* mask, const SurfaceBox& box, int d, int h, int c) {
  if (d < 0 || h < 0 || c < 0 || d >= box.grid[0] || h >= box.grid[1] || c >= box.grid[2]) return 0;
  return ld(mask + (int64_t{d} * box.grid[1] + h) * box.grid[2] + c);
}

// Bit k of each word: whether cell k has foreground there, 0 on the low and 1 on the high side along [d][h][w].
struct Cells {
  uint32_t at[2][2][2];

  // The cells that the surface passes.
  RVX_DEVICE uint32_t surface() const {
    uint32_t some = 0, every = ~0u;
    RVX_UNROLL
    for (int k = 0; k < 8; ++k) {
      const uint32_t word = at[k >> 2][k >> 1 & 1][k & 1];
      some |= word, every &= word;
    }
    return some & ~every;
  }
  RVX_DEVICE uint32_t code(int cell) const {
    uint32_t code = 0;
    RVX_UNROLL
    for (int k = 0; k < 8; ++k)
      if (at[k >> 2][k >> 1 & 1][k & 1] >> cell & 1u) code |= cellBit(k >> 2, k >> 1 & 1, k & 1);
    return elementCode(code);
  }
};

// Those of word i of the box of cells.
RVX_DEVICE Cells cellsAt(const uint32_t* mask, const SurfaceBox& box, int64_t i) {
  const int row = static_cast<int>(i / box.size[2]);
  const int c = box.low[2] + static_cast<int>(i - int64_t{row} * box.size[2]);
  const int d = box.low[0] + row / box.size[1], h = box.low[1] + row % box.size[1];
  Cells cells;
  RVX_UNROLL
  for (int kd = 0; kd < 2; ++kd) {
    RVX_UNROLL
    for (int kh = 0; kh < 2; ++kh) {
      const uint32_t word = wordAt(mask, box, d - 1 + kd, h - 1 + kh, c);
      cells.at[kd][kh][0] = word << 1 | wordAt(mask, box, d - 1 + kd, h - 1 + kh, c - 1) >> 31;
      cells.at[kd][kh][1] = word;
    }
  }
  return cells;
}

}  // namespace rvx::cuda
