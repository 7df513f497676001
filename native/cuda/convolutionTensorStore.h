// The end of a tensor-core tile: bias, moments of the sums, rounding and storing.
#pragma once
#include "cuda/convolutionTensorTile.h"
#include "cuda/moments.h"

namespace rvx::cuda {

// Lane t of four gets value t of each of them.
RVX_DEVICE void transposeQuad(uint32_t (&v)[4]) {
  const int lane = static_cast<int>(threadIdx.x) & 3;
  RVX_UNROLL
  for (int i = 0; i < 4; i += 2) {
    const uint32_t sent = shuffleXor(lane & 1 ? v[i] : v[i + 1], 1);
    (lane & 1 ? v[i] : v[i + 1]) = sent;
  }
  RVX_UNROLL
  for (int i = 0; i < 2; ++i) {
    const uint32_t sent = shuffleXor(lane & 2 ? v[i] : v[i + 2], 2);
    (lane & 2 ? v[i] : v[i + 2]) = sent;
  }
}

// Where the rows of a lane's fragments go: row lane / 4 of a patch and the one 8 further.
struct TensorRows {
  int d[2], w[2];  // positions
  int h;           // of the warp's first row
  bool valid[2];   // d and w are
};
RVX_DEVICE TensorRows rowsOf(const TensorPass& p, const TensorPlace& at, const TensorLane& l,
                             int patch, int endD, int endW) {
  TensorRows r;
  const int group = (static_cast<int>(threadIdx.x) & 31) >> 2;
  RVX_UNROLL
  for (int i = 0; i < 2; ++i) {
    const int row = group + 8 * i;
    r.d[i] = at.d + l.d() + patch * p.tile.patchD + row / p.tile.patchW;
    r.w[i] = at.w + l.w() + row % p.tile.patchW;
    r.valid[i] = r.d[i] < endD && r.w[i] < endW;
  }
  r.h = at.h + l.h();
  return r;
}
RVX_DEVICE int endOf(const TensorAxis& a, int r) {
  const int left = a.out - a.start - r;
  return left <= 0 ? 0 : (left + a.spread - 1) / a.spread;
}
RVX_DEVICE int64_t outputAt(const TensorPass& p, const TensorPlace& at, int d, int h, int w) {
  const int64_t i = p.axisD.start + at.classD + int64_t{p.axisD.spread} * d;
  const int64_t j = p.axisH.start + at.classH + int64_t{p.axisH.spread} * h;
  const int64_t k = p.axisW.start + at.classW + int64_t{p.axisW.spread} * w;
  return ((int64_t{at.sample} * p.axisD.out + i) * p.axisH.out + j) * p.axisW.out + k;
}

RVX_DEVICE void storeOne(void* y, Stored type, int64_t at, float value) {
  if (type == Stored::f32) {
    st(static_cast<float*>(y) + at, value);
  } else if (type == Stored::bf16) {
    st(static_cast<uint16_t*>(y) + at, static_cast<uint16_t>(packBf16(value, 0.0f)));
  } else {
    st(static_cast<uint16_t*>(y) + at, static_cast<uint16_t>(packF16(value, 0.0f)));
  }
}

// Adds the bias to sums that are not partial.
template <class T, int Depth, int Columns>
RVX_DEVICE void addBias(const TensorPass& p, Accumulators<T, Depth, Columns>& acc, int column) {
  if (!p.bias) return;
  const int pair = (static_cast<int>(threadIdx.x) & 3) * 2;
  RVX_UNROLL
  for (int c = 0; c < Columns; ++c) {
    const int co = column + c * 8 + pair;
    const float low = co < p.cout ? ld(p.bias + co) : 0.0f;
    const float high = co + 1 < p.cout ? ld(p.bias + co + 1) : 0.0f;
    RVX_UNROLL
    for (int d = 0; d < Depth; ++d) {
      RVX_UNROLL
      for (int row = 0; row < kTileRows; ++row) {
        acc[d][row][c][0] += low, acc[d][row][c][1] += high;
        acc[d][row][c][2] += low, acc[d][row][c][3] += high;
      }
    }
  }
}

// All lanes of a warp together.
template <class T, int Depth, int Columns>
RVX_DEVICE void storeTile(const TensorPass& p, const TensorPlace& at, const TensorLane& l,
                          const Accumulators<T, Depth, Columns>& acc, int column, int64_t partial) {
  const int lane = static_cast<int>(threadIdx.x) & 31;
  const int endD = endOf(p.axisD, at.classD), endH = endOf(p.axisH, at.classH),
            endW = endOf(p.axisW, at.classW);
  const bool wide = p.cout % 8 == 0;
  RVX_UNROLL
  for (int d = 0; d < Depth; ++d) {
    const TensorRows rows = rowsOf(p, at, l, d, endD, endW);
    RVX_UNROLL
    for (int row = 0; row < kTileRows; ++row) {
      const bool inside = rows.h + row < endH;
      int64_t to[2];
      RVX_UNROLL
      for (int i = 0; i < 2; ++i)
        to[i] = outputAt(p, at, rows.d[i], rows.h + row, rows.w[i]) * p.cout + partial;
      if (p.yStored != Stored::f32 && wide) {
        // A lane of each four takes 8 channels of one row, 16 bytes.
        const bool upper = (lane & 2) != 0;
        const bool valid = inside && (upper ? rows.valid[1] : rows.valid[0]);
        const int64_t base = upper ? to[1] : to[0];
        RVX_UNROLL
        for (int c = 0; c < Columns; c += 2) {
          uint32_t v[4];
          RVX_UNROLL
          for (int i = 0; i < 4; ++i) {
            const float low = acc[d][row][c + (i & 1)][(i >> 1) * 2],
                        high = acc[d][row][c + (i & 1)][(i >> 1) * 2 + 1];
            v[i] = p.yStored == Stored::bf16 ? packBf16(low, high) : packF16(low, high);
          }
          transposeQuad(v);
          const int co = column + (c + (lane & 1)) * 8;
          if (valid && co < p.cout)
            st(reinterpret_cast<uint4*>(static_cast<uint16_t*>(p.y) + base + co),
               make_uint4(v[0], v[1], v[2], v[3]));
        }
        continue;
      }
      RVX_UNROLL
      for (int c = 0; c < Columns; ++c) {
        const int co = column + c * 8 + (lane & 3) * 2;
        RVX_UNROLL
        for (int i = 0; i < 2; ++i) {
          if (!inside || !rows.valid[i] || co >= p.cout) continue;
          const float low = acc[d][row][c][2 * i], high = acc[d][row][c][2 * i + 1];
          if (p.yStored == Stored::f32 && p.cout % 2 == 0) {
            st(reinterpret_cast<float2*>(static_cast<float*>(p.y) + to[i] + co),
               make_float2(low, high));
            continue;
          }
          storeOne(p.y, p.yStored, to[i] + co, low);
          if (co + 1 < p.cout) storeOne(p.y, p.yStored, to[i] + co + 1, high);
        }
      }
    }
  }
}

RVX_DEVICE float sumOfRows(float v) {
  v += shuffleXor(v, 4);
  v += shuffleXor(v, 8);
  return v + shuffleXor(v, 16);
}

// The moments of a warp's voxels for the lane's channels. All lanes together; all lanes of a channel get them.
template <class T, int Depth, int Columns>
RVX_DEVICE void addMoments(const TensorPass& p, const TensorPlace& at, const TensorLane& l,
                           const Accumulators<T, Depth, Columns>& acc,
                           Moments<float> (&state)[Columns][2]) {
  const int endD = endOf(p.axisD, at.classD), endH = endOf(p.axisH, at.classH),
            endW = endOf(p.axisW, at.classW);
  uint32_t mask = 0;  // one bit a row, since so many flags would fill the registers
  const auto valid = [&](int d, int row, int i) {
    return (mask >> ((d * kTileRows + row) * 2 + i) & 1) != 0;
  };
  RVX_UNROLL
  for (int d = 0; d < Depth; ++d) {
    const TensorRows rows = rowsOf(p, at, l, d, endD, endW);
    RVX_UNROLL
    for (int row = 0; row < kTileRows; ++row)
      for (int i = 0; i < 2; ++i)
        if (rows.valid[i] && rows.h + row < endH) mask |= 1u << ((d * kTileRows + row) * 2 + i);
  }
  const float count = sumOfRows(static_cast<float>(popcount(mask)));
  const float share = count > 0 ? 1 / count : 0;
  RVX_UNROLL
  for (int c = 0; c < Columns; ++c) {
    RVX_UNROLL
    for (int side = 0; side < 2; ++side) {
      float sum = 0, m2 = 0;
      RVX_UNROLL
      for (int d = 0; d < Depth; ++d)
        for (int row = 0; row < kTileRows; ++row)
          for (int i = 0; i < 2; ++i) sum += valid(d, row, i) ? acc[d][row][c][2 * i + side] : 0.0f;
      const float mean = sumOfRows(sum) * share;
      RVX_UNROLL
      for (int d = 0; d < Depth; ++d)
        for (int row = 0; row < kTileRows; ++row)
          for (int i = 0; i < 2; ++i) {
            const float delta = valid(d, row, i) ? acc[d][row][c][2 * i + side] - mean : 0.0f;
            m2 = fma(delta, delta, m2);
          }
      state[c][side] = {count, mean, sumOfRows(m2)};
    }
  }
}

// The block's moments of its channels, from those of its warps in their order. `scratch`: shared memory that nothing else uses;
// by all threads together.
template <class T, int Columns>
RVX_DEVICE void storeMoments(const TensorPass& p, int sample, int part, const TensorLane& l,
                             int firstColumn, const Moments<float> (&state)[Columns][2],
                             float* scratch) {
  const int lane = static_cast<int>(threadIdx.x) & 31, warp = static_cast<int>(threadIdx.x) >> 5;
  const int warpsM = p.tile.warpsM(), rows = p.tile.blockN(), m = warp / p.tile.warpsN;
  float* counts = scratch + warpsM * rows * 2;
  if (lane < 4) {
    RVX_UNROLL
    for (int c = 0; c < Columns; ++c) {
      RVX_UNROLL
      for (int side = 0; side < 2; ++side) {
        float* to = scratch + (m * rows + l.column() + c * 8 + lane * 2 + side) * 2;
        sts(to, state[c][side].mean);
        sts(to + 1, state[c][side].m2);
      }
    }
    if (lane == 0 && warp % p.tile.warpsN == 0) sts(counts + m, state[0][0].count);
  }
  syncBlock();
  for (int k = static_cast<int>(threadIdx.x); k < rows; k += static_cast<int>(blockDim.x)) {
    Moments<float> all{0, 0, 0};
    for (int i = 0; i < warpsM; ++i) {
      const float* from = scratch + (i * rows + k) * 2;
      all = merged(all, {lds(counts + i), lds(from), lds(from + 1)});
    }
    const int co = firstColumn + k;
    if (co < p.cout) {
      float* to = p.moments + ((int64_t{sample} * p.cout + co) * p.parts + part) * 2;
      st(reinterpret_cast<float2*>(to), make_float2(all.mean, all.m2));
    }
    if (co == 0) st(p.counts + int64_t{sample} * p.parts + part, all.count);
  }
}

}  // namespace rvx::cuda
