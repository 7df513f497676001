// A gradient's tile on tensor cores between two norms: its dy formed while it is loaded, its result summed for the norm below.
//
//   dy = scale m(z) g + ((y - mean) rate + offset),   z = (y - mean) scale + shift,   m: LeakyReLU's derivative
//
// of the gradient g of the activation and the raw output y, five coefficients a sample and channel (math/norm.h), rounded to the products'
// type, which both are stored in. So the bits are those of a dy that an operation of its own stored. Outside of y it is zero.
//
// The sums: of m(z) Y and of m(z) Y (y - mean) over the tile for each channel, y being the raw output of the layer below at Y's place and Y as
// it is stored, in the products' type, channels by eight. Lanes add their voxels, then the lanes of a channel in a tree, then the warps in
// their order; tiles are added by convolutionTensorSums.cu. Tiles of 64 channels a warp have no registers for it.
//
// FLOPs beside the convolution's: 8 a value of a halo that is formed, 7 a value of Y that is summed. Least bytes beside its own: y read once,
// with each halo again, as dy is; the y below read once, 8 bytes written a tile and channel.
// Limits: dy and its y, or Y and the y below, are stored in the products' type with channels by eight; more than eight of dy.
#pragma once
#include "cuda/convolutionTensorStore.h"
#include "math/norm.h"

namespace rvx::cuda {

// Coefficients of the sample's channels lie behind everything else: five times four for each four channels.
RVX_DEVICE float4* formedTable(const TensorPass& p) {
  return sharedMemory<float4>(p.tile.sharedBytes);
}
RVX_DEVICE void fillFormedTable(const TensorPass& p, int sample) {
  auto* table = reinterpret_cast<float*>(formedTable(p));
  const float* from = p.grad.coefficients + int64_t{sample} * p.channels;
  const int padded = p.tile.channels8 * 8;
  for (int i = static_cast<int>(threadIdx.x); i < 5 * padded; i += static_cast<int>(blockDim.x)) {
    const int plane = i / padded, c = i - plane * padded;
    // Channels that do not exist become zero.
    const float value = c < p.channels ? ld(from + plane * p.grad.plane + c) : 0.0f;
    sts(table + (c / 4 * 5 + plane) * 4 + c % 4, value);
  }
}

// Four channels of a unit, from words of two.
template <class T>
RVX_DEVICE uint2 formedFour(const float4 (&k)[5], uint2 dy, uint2 y, float slope) {
  const auto one = [&](float mean, float scale, float shift, float rate, float offset, float g,
                       float x) {
    return formedGradient({mean, scale, shift, rate, offset}, g, x, slope);
  };
  return make_uint2(
      pack<T>(one(k[0].x, k[1].x, k[2].x, k[3].x, k[4].x, unpackLow<T>(dy.x), unpackLow<T>(y.x)),
              one(k[0].y, k[1].y, k[2].y, k[3].y, k[4].y, unpackHigh<T>(dy.x), unpackHigh<T>(y.x))),
      pack<T>(
          one(k[0].z, k[1].z, k[2].z, k[3].z, k[4].z, unpackLow<T>(dy.y), unpackLow<T>(y.y)),
          one(k[0].w, k[1].w, k[2].w, k[3].w, k[4].w, unpackHigh<T>(dy.y), unpackHigh<T>(y.y))));
}

// fillHalo of a dy that is formed. Haloes of two planes alone, channels by eight.
template <class T, class Voxel>
RVX_DEVICE void fillFormed(const TensorPass& p, int sample, int chunk, uint4* halo, Voxel voxel) {
  constexpr int kBatch = 2;  // that share the coefficients' loads
  const int plane = static_cast<int>(threadIdx.x) & 1, slots = p.tile.slots;
  const int by = static_cast<int>(blockDim.x) >> 1, unit = 2 * chunk + plane;
  const bool real = unit * 8 < p.channels;
  const int64_t base = voxelsBefore(p, sample) * p.channels + unit * 8;
  const auto load = [&](const void* x, int from) {
    return ld(reinterpret_cast<const uint4*>(static_cast<const uint16_t*>(x) + base +
                                             int64_t{from} * p.channels));
  };
  const float4* table = formedTable(p) + unit * 10;
  halo += plane * slots;
  for (int slot = static_cast<int>(threadIdx.x) >> 1; slot < slots; slot += by * kBatch) {
    int from[kBatch];
    uint4 dy[kBatch], y[kBatch];
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      from[b] = real && slot + b * by < slots ? voxel(slot + b * by) : -1;
      dy[b] = y[b] = make_uint4(0, 0, 0, 0);
      if (from[b] >= 0) dy[b] = load(p.x, from[b]), y[b] = load(p.grad.raw, from[b]);
    }
    RVX_UNROLL
    for (int half = 0; half < 2; ++half) {
      float4 k[5];
      RVX_UNROLL
      for (int i = 0; i < 5; ++i) k[i] = lds(table + half * 5 + i);
      RVX_UNROLL
      for (int b = 0; b < kBatch; ++b) {
        uint4& v = dy[b];
        const uint4& w = y[b];
        const uint2 formed =
            formedFour<T>(k, half ? make_uint2(v.z, v.w) : make_uint2(v.x, v.y),
                          half ? make_uint2(w.z, w.w) : make_uint2(w.x, w.y), p.grad.slope);
        (half ? v.z : v.x) = formed.x, (half ? v.w : v.y) = formed.y;
      }
    }
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b)
      if (slot + b * by < slots)
        sts(halo + slot + b * by, from[b] >= 0 ? dy[b] : make_uint4(0, 0, 0, 0));
  }
}

// The sums of the block's channels over its tile. `scratch`: shared memory that nothing else uses any more; by all threads together.
template <class T, int Depth, int Columns>
RVX_DEVICE void storeGradientSums(const TensorPass& p, const TensorPlace& at, const TensorLane& l,
                                  const Accumulators<T, Depth, Columns>& acc, int firstColumn,
                                  float2* scratch) {
  const TensorGradPass& g = p.grad;
  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int rowsOfBlock = p.tile.blockN(), m = warp / p.tile.warpsN;
  const int endD = endOf(p.axisD, at.classD), endH = endOf(p.axisH, at.classH),
            endW = endOf(p.axisW, at.classW);
  const int column = firstColumn + l.column();
  const auto* table = reinterpret_cast<const float*>(g.table + int64_t{at.sample} * p.cout);
  // As they are stored, which takes half of the registers.
  uint32_t stored[Depth][kTileRows][Columns][2];
  RVX_UNROLL
  for (int d = 0; d < Depth; ++d) RVX_UNROLL
  for (int row = 0; row < kTileRows; ++row) RVX_UNROLL
  for (int c = 0; c < Columns; ++c) RVX_UNROLL
  for (int half = 0; half < 2; ++half)
    stored[d][row][c][half] = pack<T>(acc[d][row][c][2 * half], acc[d][row][c][2 * half + 1]);
  syncBlock();  // the haloes are read
  RVX_UNROLL
  for (int c = 0; c < Columns; c += 2) {
    // Of the lane's channels: those of two in each of two columns of eight.
    float mean[2][2], scale[2][2], shift[2][2];
    float first[2][2], second[2][2];
    RVX_UNROLL
    for (int i = 0; i < 2; ++i) {
      RVX_UNROLL
      for (int side = 0; side < 2; ++side) {
        const int co = column + (c + i) * 8 + (lane & 3) * 2 + side;
        // One by one: as a float4 they would take four registers side by side, and some spill.
        const float* norm = table + 4 * (co < p.cout ? co : 0);
        mean[i][side] = ld(norm), scale[i][side] = ld(norm + 1), shift[i][side] = ld(norm + 2);
        first[i][side] = second[i][side] = 0;
      }
    }
    RVX_UNROLL
    for (int d = 0; d < Depth; ++d) {
      // As storeTile writes: a lane of each four takes 8 channels of one row.
      const TensorRows rows = rowsOf(p, at, l, d, endD, endW);
      const bool upper = (lane & 2) != 0;
      const int co = column + (c + (lane & 1)) * 8;
      const auto* from =
          static_cast<const uint16_t*>(g.below) +
          (outputAt(p, at, upper ? rows.d[1] : rows.d[0], rows.h, upper ? rows.w[1] : rows.w[0]) *
               p.cout +
           co);
      const int left0 = rows.valid[0] ? endH - rows.h : 0,
                left1 = rows.valid[1] ? endH - rows.h : 0;
      const int left = co < p.cout ? (upper ? left1 : left0) : 0;
      const int64_t next = int64_t{p.axisH.spread} * p.axisW.out * p.cout;
      RVX_UNROLL
      for (int row = 0; row < kTileRows; ++row) {
        uint32_t v[4] = {};
        if (row < left) {
          const uint4 u = ld(reinterpret_cast<const uint4*>(from));
          v[0] = u.x, v[1] = u.y, v[2] = u.z, v[3] = u.w;
        }
        from += next;
        transposeQuad(v);
        RVX_UNROLL
        for (int half = 0; half < 2; ++half) {
          const bool there = row < (half ? left1 : left0);
          RVX_UNROLL
          for (int i = 0; i < 2; ++i) {
            const uint32_t word = there ? stored[d][row][c + i][half] : 0;
            const float dx[2] = {unpackLow<T>(word), unpackHigh<T>(word)};
            const float y[2] = {unpackLow<T>(v[2 * half + i]), unpackHigh<T>(v[2 * half + i])};
            RVX_UNROLL
            for (int side = 0; side < 2; ++side) {
              const float t = y[side] - mean[i][side];
              const float z = normalised(t, scale[i][side], shift[i][side]);
              const float dz = leakyReluGrad(z, dx[side], g.belowSlope);
              first[i][side] += dz;
              second[i][side] = fma(dz, t, second[i][side]);
            }
          }
        }
      }
    }
    RVX_UNROLL
    for (int i = 0; i < 2; ++i) {
      RVX_UNROLL
      for (int side = 0; side < 2; ++side) {
        const float one = sumOfRows(first[i][side]), two = sumOfRows(second[i][side]);
        if (lane < 4)
          sts(scratch + m * rowsOfBlock + l.column() + (c + i) * 8 + lane * 2 + side,
              make_float2(one, two));
      }
    }
  }
  syncBlock();
  for (int k = static_cast<int>(threadIdx.x); k < rowsOfBlock; k += static_cast<int>(blockDim.x)) {
    float2 all = lds(scratch + k);
    for (int i = 1; i < p.tile.warpsM(); ++i) {
      const float2 more = lds(scratch + i * rowsOfBlock + k);
      all.x += more.x, all.y += more.y;
    }
    const int co = firstColumn + k;
    if (co < p.cout) st(g.sums + (int64_t{at.sample} * p.cout + co) * p.parts + at.part, all);
  }
}

}  // namespace rvx::cuda
