// Pooling on store: what a tensor-core tile leaves of each window of 2x2x2 voxels (Conv3d's `pooled`).
//
// For patches of 8 voxels along W in two slices alone. A lane then has both slices and two windows' rows along H of one voxel along W
// in its own sums; the window's other voxel along W is four lanes away. Of the two windows one lane finishes the first, the other
// the second. Tiles begin at even voxels, and a window of the result lies inside y as a whole.
// Values are rounded last, since rounding keeps their order.
#pragma once
#include "cuda/convolutionTensorStore.h"

namespace rvx::cuda {

constexpr int kPooledPatch = 8;  // voxels along W

// All lanes of a warp together.
template <class T, int Depth, int Columns>
RVX_DEVICE void poolTile(const TensorPass& p, const TensorPlace& at, const TensorLane& l,
                         const Accumulators<T, Depth, Columns>& acc, int column) {
  const int lane = static_cast<int>(threadIdx.x) & 31, quad = lane & 3;
  const bool second = (lane & 4) != 0;
  const int sizeD = p.axisD.out / 2, sizeH = p.axisH.out / 2, sizeW = p.axisW.out / 2;
  const int d0 = (at.d + l.d()) / 2;
  const int h = (at.h + l.h()) / 2 + (second ? 1 : 0), w = (at.w + l.w()) / 2 + (lane >> 3);
  const bool inside = h < sizeH && w < sizeW, wide = p.yStored != Stored::f32 && p.cout % 8 == 0;
  const auto to = [&](int d) {
    return (((int64_t{at.sample} * sizeD + d0 + d) * sizeH + h) * sizeW + w) * p.cout;
  };
  RVX_UNROLL
  for (int first = 0; first < Depth * Columns; first += 4) {
    uint32_t word[4];
    RVX_UNROLL
    for (int k = 0; k < 4; ++k) {
      const int d = (first + k) / Columns, c = (first + k) % Columns;
      const int co = column + c * 8 + quad * 2;
      float best[2];
      RVX_UNROLL
      for (int side = 0; side < 2; ++side) {
        const uint32_t flip = co + side < p.cout ? poolFlip(ld(p.poolSign + co + side)) : 0;
        const auto value = [&](int row, int slice) {
          return flipped(acc[d][row][c][2 * slice + side], flip);
        };
        const auto window = [&](int row) {
          return maximum(maximum(value(row, 0), value(row, 1)),
                         maximum(value(row + 1, 0), value(row + 1, 1)));
        };
        const float a = window(0), b = window(2);
        const float other = shuffleXor(second ? a : b, 4);
        best[side] = flipped(maximum(second ? b : a, other), flip);
      }
      if (wide) {
        word[k] =
            p.yStored == Stored::bf16 ? packBf16(best[0], best[1]) : packF16(best[0], best[1]);
      } else if (inside && d0 + d < sizeD) {
        if (co < p.cout) storeOne(p.pooled, p.yStored, to(d) + co, best[0]);
        if (co + 1 < p.cout) storeOne(p.pooled, p.yStored, to(d) + co + 1, best[1]);
      }
    }
    if (!wide) continue;
    // A lane of each four takes 8 channels, 16 bytes.
    transposeQuad(word);
    const int d = (first + quad) / Columns, co = column + (first + quad) % Columns * 8;
    if (inside && d0 + d < sizeD && co < p.cout)
      st(reinterpret_cast<uint4*>(static_cast<uint16_t*>(p.pooled) + to(d) + co),
         make_uint4(word[0], word[1], word[2], word[3]));
  }
}

}  // namespace rvx::cuda
