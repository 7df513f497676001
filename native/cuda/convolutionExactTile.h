// Device code of convolutions by FFMA: staging inputs (with norm, activation and rounding) and weights, and the products of a tile.
#pragma once
#include "cuda/convolutionExactPlan.h"

namespace rvx::cuda {

struct ExactPlace {
  int sample;
  int j[3];      // first position of the tile
  int input[3];  // input of lattice point 0 for the present group
};

// The lattice point's place and whether its input is inside; `voxel` counts over all samples.
RVX_DEVICE int locate(const ExactPass& p, const ExactPlace& at, int point, int64_t* voxel,
                      bool* inside) {
  const int row = divide(point, p.byColumns), z = divide(row, p.byRows);
  const int x = point - row * p.axis[2].count, y = row - z * p.axis[1].count;
  const int iz = at.input[0] + z * p.axis[0].spacing, iy = at.input[1] + y * p.axis[1].spacing,
            ix = at.input[2] + x * p.axis[2].spacing;
  *inside = iz >= 0 && iz < p.axis[0].inputs && iy >= 0 && iy < p.axis[1].inputs && ix >= 0 &&
            ix < p.axis[2].inputs;
  *voxel =
      ((int64_t{at.sample} * p.axis[0].inputs + iz) * p.axis[1].inputs + iy) * p.axis[2].inputs +
      ix;
  const int along = divide(x, p.byStepW);
  return z * p.planePitch + y * p.rowPitch + (x - along * p.axis[2].lstep) * p.phase + along;
}

// N channels at once by `lanes` threads a lattice point; `to` is the plane of this thread's channels.
template <int N>
RVX_DEVICE void stageRun(const ExactPass& p, const ExactPlace& at, int channel, int first, int step,
                         float* to) {
  const ChannelRun<N> run(p.in, at.sample, channel, p.runs);
  const int points = p.axis[0].count * p.axis[1].count * p.axis[2].count;
  constexpr int kTogether = N == 4 ? 2 : 4;  // loads under way; registers are scarce
  for (int u = first; u < points; u += kTogether * step) {
    float v[kTogether][N];
    int place[kTogether];
    RVX_UNROLL
    for (int k = 0; k < kTogether; ++k) {
      const int point = u + k * step;
      int64_t voxel;
      bool inside;
      place[k] = locate(p, at, point < points ? point : u, &voxel, &inside);
      run.load(voxel, inside && point < points, v[k]);
    }
    RVX_UNROLL
    for (int k = 0; k < kTogether; ++k) {
      if (u + k * step >= points) continue;
      if (N == 4)
        sts(reinterpret_cast<float4*>(to) + place[k],
            make_float4(v[k][0], v[k][N / 4], v[k][N / 2], v[k][N - 1]));
      else
        sts(to + place[k], v[k][0]);
    }
  }
}

template <bool kQuads>
RVX_DEVICE void stageInput(const ExactPass& p, const ExactPlace& at, int channel, float* xs) {
  const auto t = static_cast<int>(threadIdx.x);
  if (kQuads) {
    const int quads = p.chunk / 4, q = t % quads;
    stageRun<4>(p, at, channel + 4 * q, t / quads, kExactThreads / quads, xs + q * p.places * 4);
  } else {
    for (int c = 0; c < p.chunk; ++c)
      stageRun<1>(p, at, channel + c, t, kExactThreads, xs + c * p.places);
  }
}

struct ExactTaps {
  int d, h, w;  // first tap
};
// Index of a tap of a group along each axis.
RVX_DEVICE ExactTaps tapOf(const ExactPass& p, int tap) {
  const int row = divide(tap, p.byGroupW), d = divide(row, p.byGroupH);
  return {d, row - d * p.axis[1].group, tap - row * p.axis[2].group};
}

// Copies the weights of taps [first, first + count) of a group, of one chunk, 8 * G output channels: [tap][channel][8 * G].
template <int G>
RVX_DEVICE void stageWeights(const ExactPass& p, const ExactTaps& group, int channel, int co,
                             int first, int count, float* ws) {
  constexpr int kPieces = 2 * G;  // of 16 bytes in a row
  const int pieces = count * p.chunk * kPieces;
  for (int i = static_cast<int>(threadIdx.x); i < pieces; i += kExactThreads) {
    const int row = i / kPieces, l = divide(row, p.byChunk), ci = row - l * p.chunk;
    const ExactTaps t = tapOf(p, first + l);
    const int kd = p.axis[0].kernel + (group.d + t.d) * p.axis[0].kernelStep,
              kh = p.axis[1].kernel + (group.h + t.h) * p.axis[1].kernelStep,
              kw = p.axis[2].kernel + (group.w + t.w) * p.axis[2].kernelStep;
    const int64_t from =
        (int64_t{(kd * p.kernelH + kh) * p.kernelW + kw} * p.cinPad + channel + ci) * p.coutPad +
        co + i % kPieces * 4;
    cpAsync16(ws + 4 * i, p.weight + from, true);
  }
  cpAsyncCommit();
}

// Adds the products of staged taps to the thread's sums.
template <int G, bool kQuads>
RVX_DEVICE void multiply(const ExactPass& p, const float* xs, const float* ws, int place,
                         int placeD, int placeH, int first, int count, float (&sum)[8][8]) {
  for (int l = 0; l < count; ++l) {
    const ExactTaps t = tapOf(p, first + l);
    const int m = t.w * p.axis[2].ltap, along = divide(m, p.byStepW);
    const int shift = t.d * p.axis[0].ltap * p.planePitch + t.h * p.axis[1].ltap * p.rowPitch +
                      (m - along * p.axis[2].lstep) * p.phase + along;
    if (kQuads) {
      for (int q = 0; q < p.chunk / 4; ++q) {
        float w[4][8];
        RVX_UNROLL
        for (int c = 0; c < 4; ++c) {
          const float* row = ws + (l * p.chunk + 4 * q + c) * 8 * G;
          const float4 a = lds(reinterpret_cast<const float4*>(row)),
                       b = lds(reinterpret_cast<const float4*>(row + 4 * G));
          w[c][0] = a.x, w[c][1] = a.y, w[c][2] = a.z, w[c][3] = a.w;
          w[c][4] = b.x, w[c][5] = b.y, w[c][6] = b.z, w[c][7] = b.w;
        }
        const float4* x = reinterpret_cast<const float4*>(xs) + q * p.places + shift + place;
        RVX_UNROLL
        for (int i = 0; i < 8; ++i) {
          const float4 v = lds(x + (i / 4 * placeD + i % 4 * placeH));
          RVX_UNROLL
          for (int c = 0; c < 8; ++c) {
            sum[i][c] = fma(v.x, w[0][c], sum[i][c]);
            sum[i][c] = fma(v.y, w[1][c], sum[i][c]);
            sum[i][c] = fma(v.z, w[2][c], sum[i][c]);
            sum[i][c] = fma(v.w, w[3][c], sum[i][c]);
          }
        }
      }
    } else {
      for (int c = 0; c < p.chunk; ++c) {
        const float* row = ws + (l * p.chunk + c) * 8 * G;
        const float4 a = lds(reinterpret_cast<const float4*>(row)),
                     b = lds(reinterpret_cast<const float4*>(row + 4 * G));
        const float* x = xs + c * p.places + shift + place;
        const float w[8] = {a.x, a.y, a.z, a.w, b.x, b.y, b.z, b.w};
        RVX_UNROLL
        for (int i = 0; i < 8; ++i) {
          const float v = lds(x + (i / 4 * placeD + i % 4 * placeH));
          RVX_UNROLL
          for (int k = 0; k < 8; ++k) sum[i][k] = fma(v, w[k], sum[i][k]);
        }
      }
    }
  }
}

}  // namespace rvx::cuda
