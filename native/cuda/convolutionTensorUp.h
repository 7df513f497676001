// The up-sampled source of a tensor-core tile, made while the tile is loaded instead of being stored by one operation and read by the
// next: u[2i+k, co] = bias[co] + sum over ci of w[ci,co,k] * X[i, ci], k in {0,1}^3, as convTranspose3dTensor.cu makes it, with the same
// products in the same order, hence the same bits.
//
// The coarse voxels of a tile's halo lie in shared memory with all their channels, normalised and rounded. For a chunk of 16 channels of
// u a warp takes two of the eight k: the halo's voxels of that parity are the rows of a matrix product, its 16 channels the columns. The
// weights come from the caches as the lanes take them. What lies outside of u is zero, the convolution's padding, and not the bias.
//
// FLOPs: 2 * 8 * (voxels of a halo / 8, rounded up to 32) * Cin * Cout of u for each tile of 16 to 32 output channels.
#pragma once
#include "cuda/convolutionTensorStore.h"

namespace rvx::cuda {

// Brings the coarse voxels of a tile. By all threads; they are there after cpAsyncWait and a barrier.
template <class T>
RVX_DEVICE void stageCoarse(const TensorPass& p, const TensorPlace& at, uint4* coarse) {
  const TensorUpTile& u = p.tile.up;
  const Halo halo = haloOf(p, at, 0);
  const int fromD = halo.d.from >> 1, fromH = halo.h.from >> 1, fromW = halo.w.from >> 1;
  const int inD = p.axisD.in / 2, inH = p.axisH.in / 2, inW = p.axisW.in / 2;
  const auto voxel = [&](int slot) {
    const int row = slot / u.haloW, plane = row / u.haloH;
    const int d = fromD + plane, h = fromH + row - plane * u.haloH,
              w = fromW + slot - row * u.haloW;
    const bool inside = d >= 0 && d < inD && h >= 0 && h < inH && w >= 0 && w < inW;
    return inside ? (d * inH + h) * inW + w : -1;
  };
  // Four threads side by side take a voxel's 32 channels, which lie side by side in memory.
  const int plane = static_cast<int>(threadIdx.x) & 3, first = static_cast<int>(threadIdx.x) >> 2;
  const int by = static_cast<int>(blockDim.x) >> 2;
  const int64_t before = voxelsBefore(p, at.sample) / 8;
  for (int i = plane; i < 4 * u.chunks; i += 4) {
    const Lane8 l = laneFrom(p.up.x, p.up.scale, p.up.shift, p.up.channels, p.up.copied,
                             p.up.aligned, at.sample, i);
    fillFrom<T>(p, l, before, coarse + i * u.pitch, first, by, u.voxels(), voxel);
  }
  cpAsyncCommit();
}

// Of the halo's positions along an axis, those of one parity: every second one from `first` on.
struct UpAxis {
  int first, count;
  int coarse;  // the voxel, of those staged, that the first is made of
};
RVX_DEVICE UpAxis upAxis(int from, int extent, int parity) {
  const int first = (parity ^ from) & 1;
  return {first, (extent - first + 1) / 2, ((from + first) >> 1) - (from >> 1)};
}

// The first `groups` planes, one or two, of a chunk of the halo. By all threads, from what stageCoarse brought; `voxel(slot)` is
// negative outside.
template <class T, class Voxel>
RVX_DEVICE void makeUp(const TensorPass& p, const Halo& halo, int chunk, int groups,
                       const uint4* coarse, uint4* to, Voxel voxel) {
  const TensorTile& t = p.tile;
  const TensorUpTile& u = t.up;
  const int lane = static_cast<int>(threadIdx.x) & 31, quad = lane & 3;
  const uint4* planes = coarse + (lane >> 4) * u.pitch;
  const int warps = static_cast<int>(blockDim.x) >> 5;
  for (int part = static_cast<int>(threadIdx.x) >> 5; part < 8; part += warps) {
    const UpAxis d = upAxis(halo.d.from, t.haloD, part >> 2),
                 h = upAxis(halo.h.from, t.haloH, part >> 1 & 1),
                 w = upAxis(halo.w.from, t.haloW, part & 1);
    const int slice = h.count * w.count, rows = d.count * slice;
    const uint4* weight =
        p.up.weight + int64_t{part * p.up.coutUnits + 2 * chunk} * u.chunks * 32 + lane;
    for (int firstRow = 0; firstRow < rows; firstRow += 32) {
      // Of row lane % 16 of each fragment: its coarse voxel, and its slot or -1.
      int from[2], target[2];
      RVX_UNROLL
      for (int m = 0; m < 2; ++m) {
        const int wanted = firstRow + m * 16 + (lane & 15), row = wanted < rows ? wanted : 0;
        const int i = row / slice, rest = row - i * slice, j = rest / w.count;
        const int k = rest - j * w.count;
        from[m] = ((d.coarse + i) * u.haloH + h.coarse + j) * u.haloW + w.coarse + k;
        const int slot =
            (d.first + 2 * i) * t.slice + (h.first + 2 * j) * t.pitch + w.first + 2 * k;
        target[m] = wanted < rows ? slot : -1;
      }
      float sum[2][2][4] = {};
      for (int part32 = 0; part32 < u.chunks; ++part32) {
        uint4 b[2] = {};
        RVX_UNROLL
        for (int c = 0; c < 2; ++c)
          if (c < groups) b[c] = ld(weight + (c * u.chunks + part32) * 32);
        RVX_UNROLL
        for (int half = 0; half < 2; ++half) {
          RVX_UNROLL
          for (int m = 0; m < 2; ++m) {
            uint32_t a[4];
            ldmatrixX4(a, planes + (4 * part32 + 2 * half) * u.pitch + from[m]);
            RVX_UNROLL
            for (int c = 0; c < 2; ++c) {
              const uint32_t pair[2] = {half ? b[c].z : b[c].x, half ? b[c].w : b[c].y};
              if (c < groups) mma16816<T>(sum[m][c], a, pair);
            }
          }
        }
      }
      float bias[2][2];
      RVX_UNROLL
      for (int c = 0; c < 2; ++c) {
        RVX_UNROLL
        for (int side = 0; side < 2; ++side) {
          const int co = (2 * chunk + c) * 8 + 2 * quad + side;
          bias[c][side] = p.up.bias && co < p.channels ? ld(p.up.bias + co) : 0.0f;
        }
      }
      RVX_UNROLL
      for (int m = 0; m < 2; ++m) {
        // A lane of each four takes 8 channels of one row: of the plane and the row of its own number's bits.
        uint32_t v[4];
        RVX_UNROLL
        for (int i = 0; i < 4; ++i) {
          const float(&of)[4] = sum[m][i & 1];
          v[i] = pack<T>(of[(i >> 1) * 2] + bias[i & 1][0], of[(i >> 1) * 2 + 1] + bias[i & 1][1]);
        }
        transposeQuad(v);
        const int slot = shuffle(target[m], (quad >> 1) * 8 + (lane >> 2));
        if (slot < 0 || (quad & 1) >= groups) continue;
        sts(to + (quad & 1) * t.slots + slot,
            voxel(slot) >= 0 ? make_uint4(v[0], v[1], v[2], v[3]) : make_uint4(0, 0, 0, 0));
      }
    }
  }
}

// fillHalo where the first source is made.
template <class T, class Voxel>
RVX_DEVICE void fillUpHalo(const TensorPass& p, const TensorPlace& at, int chunk,
                           const uint4* coarse, uint4* to, Voxel voxel) {
  const int units = p.tile.firstChannels8 - 2 * chunk;
  if (units <= 0) {
    fillHalo<T>(p, at.sample, chunk, to, voxel);
    return;
  }
  makeUp<T>(p, haloOf(p, at, 0), chunk, units > 1 ? 2 : 1, coarse, to, voxel);
  if (units == 1)
    fillFrom<T>(p, laneOf(p, at.sample, 2 * chunk + 1), voxelsBefore(p, at.sample),
                to + p.tile.slots, static_cast<int>(threadIdx.x), static_cast<int>(blockDim.x),
                p.tile.slots, voxel);
}

}  // namespace rvx::cuda
