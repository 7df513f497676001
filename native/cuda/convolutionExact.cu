// Convolutions by FFMA (convolutionExact.h). FLOPs 2 * outputs * taps * Cin * Cout; least bytes: one read of x and w, one write of y.
//
// A block of 128 threads makes a tile of 8 wide positions by 8 * G channels, a thread 2 x 4 positions by 8 channels, with 64 sums
// in registers. For a chunk of 4 or 8 input channels the lattice of inputs that the tile and a group of taps touch is normalised,
// rounded and staged in shared memory, in planes of four channels: [quad][place][4], so that eight lanes side by side read 128
// bytes in a row. Along W places lie by phase (input % stride), which keeps them side by side under a stride. Weights come packed
// as [tap][Cin][Cout], zero-padded, through two buffers by asynchronous copies. Four inputs by 8 positions by 8 channels cost 16
// shared loads of 16 bytes for 256 FFMA: FFMA bounds. Up to three input channels take one channel instead of a quad.
//
// A group is all taps, or where their inputs do not fit into 40 KB, those of one index along D, along D and H, or one tap.
//
// Where the tiles are too few to fill a chip, or a sum has more than 4096 terms, the channels are split; partial sums go to a
// workspace and are added in order. The number of splits depends on the shape alone.
//
// Statistics: a block writes its mean, rounded, and the sums of deviations from it and of their squares; another kernel merges
// the blocks in a fixed order, in double.
#include "cuda/convolutionExact.h"
#include "cuda/reduce.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kTileW = 8;
constexpr size_t kInputBytes = 40 << 10;
constexpr int kStageFloats = 2048;  // of weights, of each buffer
constexpr int64_t kFill = 264;      // blocks that fill a large chip twice
constexpr int64_t kLongestSum = 4096;

template <int G>
constexpr int kThreadsD = G <= 2 ? 4 : 2;
template <int G>
constexpr int kThreadsH = 16 / G / kThreadsD<G>;

struct Exact {
  Sources in;
  bool runs;  // quads of channels are aligned
  GatherAxis axis[3];
  int chunk, chunks, chunksPerSplit;  // input channels at once; how many times
  int phase, rowPitch, planePitch, places;
  Divider byColumns, byRows, byStepW, byGroupW, byGroupH, byChunk, byCout;
  int groupTaps, stageTaps;
  const float* weight;  // packed
  int kernelH, kernelW, coutPad, cinPad;
  unsigned weightAt;  // shared bytes before the weights
  const float* bias;
  void* y;
  DType type;
  int outSize[3];
  int cout, made;   // channels of y; parts * channels of y
  int64_t split;    // values of one partial result; 0: not split
  float4* moments;  // [n][tile][cout]: pivot, sum of deviations, of their squares, count
};

// [tap][cinPad][coutPad] of weight(co, ci, tap), zeros beyond. One thread a pair of channels.
RVX_KERNEL(kThreads)
packWeights(const float* w, float* packed, int taps, int cin, int cinPad, int made, int coutPad,
            int cout, int64_t weightCo, int64_t weightCi, DType operand) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const int64_t pairs = int64_t{cinPad} * coutPad;
  if (i >= pairs) return;
  const auto c = static_cast<int>(i % coutPad), ci = static_cast<int>(i / coutPad);
  const bool real = c < made && ci < cin;
  const int part = cout > 0 ? c / cout : 0;
  const float* from = w + (c - part * cout) * weightCo + ci * weightCi + part;
  for (int t = 0; t < taps; ++t)
    st(packed + t * pairs + i, real ? roundTo(operand, ld(from + t)) : 0.0f);
}

struct Place {
  int sample;
  int j[3];      // first position of the tile
  int input[3];  // input of lattice point 0 for the present group
};

// The lattice point's place and whether its input is inside; `voxel` counts over all samples.
RVX_DEVICE int locate(const Exact& p, const Place& at, int point, int64_t* voxel, bool* inside) {
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
RVX_DEVICE void stageRun(const Exact& p, const Place& at, int channel, int first, int step,
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
RVX_DEVICE void stageInput(const Exact& p, const Place& at, int channel, float* xs) {
  const auto t = static_cast<int>(threadIdx.x);
  if (kQuads) {
    const int quads = p.chunk / 4, q = t % quads;
    stageRun<4>(p, at, channel + 4 * q, t / quads, kThreads / quads, xs + q * p.places * 4);
  } else {
    for (int c = 0; c < p.chunk; ++c)
      stageRun<1>(p, at, channel + c, t, kThreads, xs + c * p.places);
  }
}

struct Group {
  int d, h, w;  // first tap
};
// Index of a tap of a group along each axis.
RVX_DEVICE Group tapOf(const Exact& p, int tap) {
  const int row = divide(tap, p.byGroupW), d = divide(row, p.byGroupH);
  return {d, row - d * p.axis[1].group, tap - row * p.axis[2].group};
}

// Copies the weights of taps [first, first + count) of a group, of one chunk, 8 * G output channels: [tap][channel][8 * G].
template <int G>
RVX_DEVICE void stageWeights(const Exact& p, const Group& group, int channel, int co, int first,
                             int count, float* ws) {
  constexpr int kPieces = 2 * G;  // of 16 bytes in a row
  const int pieces = count * p.chunk * kPieces;
  for (int i = static_cast<int>(threadIdx.x); i < pieces; i += kThreads) {
    const int row = i / kPieces, l = divide(row, p.byChunk), ci = row - l * p.chunk;
    const Group t = tapOf(p, first + l);
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
RVX_DEVICE void multiply(const Exact& p, const float* xs, const float* ws, int place, int placeD,
                         int placeH, int first, int count, float (&sum)[8][8]) {
  for (int l = 0; l < count; ++l) {
    const Group t = tapOf(p, first + l);
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

// This thread's channel c (0..7) of the block's 8 * G.
template <int G>
RVX_DEVICE int channelOf(int group, int c) {
  return (c / 4 * G + group) * 4 + c % 4;
}

// Sums each of the thread's eight values over the block's positions; the totals of the 8 * G channels go to `totals`.
template <int G>
RVX_DEVICE void sumPositions(const float (&value)[8], float* scratch, float* totals) {
  const auto t = static_cast<int>(threadIdx.x);
  const int group = t / 8 % G, positions = t / (8 * G);
  RVX_UNROLL
  for (int c = 0; c < 8; ++c) {
    float v = value[c];
    for (int by = 1; by < 8; by *= 2) v += shuffleXor(v, by);
    if (t % 8 == 0) sts(scratch + positions * 8 * G + channelOf<G>(group, c), v);
  }
  syncBlock();
  if (t < 8 * G) {
    float total = 0;
    for (int i = 0; i < 16 / G; ++i) total += lds(scratch + i * 8 * G + t);
    sts(totals + t, total);
  }
  syncBlock();
}

// The block's mean, rounded, as a pivot; sums of deviations from it and of their squares.
template <int G>
RVX_DEVICE void writeMoments(const Exact& p, const float (&sum)[8][8], const bool (&valid)[8],
                             int count, int co, float4* to) {
  auto* scratch = sharedMemory<float>();
  float* totals = scratch + kThreads;  // 16 / G * 8 * G values before it
  float* squares = totals + 8 * G;
  const auto t = static_cast<int>(threadIdx.x);
  const int group = t / 8 % G;
  float value[8], square[8];
  RVX_UNROLL
  for (int c = 0; c < 8; ++c) {
    value[c] = 0;
    RVX_UNROLL
    for (int i = 0; i < 8; ++i) value[c] += valid[i] ? sum[i][c] : 0.0f;
  }
  syncBlock();
  sumPositions<G>(value, scratch, totals);
  const float pivotOfThread = t < 8 * G ? lds(totals + t) / static_cast<float>(count) : 0.0f;
  RVX_UNROLL
  for (int c = 0; c < 8; ++c) {
    const float pivot = lds(totals + channelOf<G>(group, c)) / static_cast<float>(count);
    value[c] = square[c] = 0;
    RVX_UNROLL
    for (int i = 0; i < 8; ++i) {
      const float d = valid[i] ? sum[i][c] - pivot : 0.0f;
      value[c] += d;
      square[c] = fma(d, d, square[c]);
    }
  }
  syncBlock();
  sumPositions<G>(value, scratch, totals);
  sumPositions<G>(square, scratch, squares);
  if (t < 8 * G && co + t < p.cout)
    st(to + t,
       make_float4(pivotOfThread, lds(totals + t), lds(squares + t), static_cast<float>(count)));
}

// Four blocks at once leave 128 registers, of which quads need a few more.
template <int G, bool kQuads>
RVX_KERNEL_BLOCKS(kThreads, kQuads ? 3 : 4)
convolve(Exact p) {
  auto* xs = sharedMemory<float>();
  const auto t = static_cast<int>(threadIdx.x);
  const int group = t / 8 % G, positions = t / (8 * G);
  const int dFirst = positions / kThreadsH<G> * 2, hFirst = positions % kThreadsH<G> * 4;
  const int co = static_cast<int>(blockIdx.y) * 8 * G, split = static_cast<int>(blockIdx.z);

  Place at;
  const int tilesW = p.axis[2].tiles(), tilesH = p.axis[1].tiles(), tilesD = p.axis[0].tiles();
  auto tile = static_cast<int>(blockIdx.x);
  at.j[2] = tile % tilesW * kTileW, tile /= tilesW;
  at.j[1] = tile % tilesH * p.axis[1].tile, tile /= tilesH;
  at.j[0] = tile % tilesD * p.axis[0].tile;
  at.sample = tile / tilesD;

  // Distances between the thread's positions along D and H, and the first one's place.
  const int placeD = p.axis[0].lstep * p.planePitch, placeH = p.axis[1].lstep * p.rowPitch;
  const int place = dFirst * placeD + hFirst * placeH + t % 8;
  float sum[8][8];
  RVX_UNROLL
  for (int i = 0; i < 8; ++i) RVX_UNROLL
  for (int c = 0; c < 8; ++c) sum[i][c] = 0;

  const int lastChunk = (split + 1) * p.chunksPerSplit;
  for (int chunk = split * p.chunksPerSplit; chunk < lastChunk && chunk < p.chunks; ++chunk)
    for (int gd = 0; gd < p.axis[0].taps; gd += p.axis[0].group)
      for (int gh = 0; gh < p.axis[1].taps; gh += p.axis[1].group)
        for (int gw = 0; gw < p.axis[2].taps; gw += p.axis[2].group) {
          const Group taps{gd, gh, gw};
          const int first[3] = {gd, gh, gw};
          RVX_UNROLL
          for (int a = 0; a < 3; ++a)
            at.input[a] =
                at.j[a] * p.axis[a].step + p.axis[a].offset + first[a] * p.axis[a].tapStep;
          const int channel = chunk * p.chunk;
          syncBlock();
          const int stage = p.stageTaps * p.chunk * 8 * G;
          auto* ws = sharedMemory<float>(p.weightAt);
          stageWeights<G>(p, taps, channel, co, 0, p.stageTaps, ws);
          stageInput<kQuads>(p, at, channel, xs);
          for (int s = 0, buffer = 0; s < p.groupTaps; s += p.stageTaps, buffer ^= 1) {
            const int next = s + p.stageTaps, left = p.groupTaps - next;
            if (left > 0) {
              stageWeights<G>(p, taps, channel, co, next, left < p.stageTaps ? left : p.stageTaps,
                              ws + (buffer ^ 1) * stage);
              cpAsyncWait<1>();
            } else {
              cpAsyncWait<0>();
            }
            syncBlock();
            multiply<G, kQuads>(p, xs, ws + buffer * stage + 4 * group, place, placeD, placeH, s,
                                left < 0 ? p.stageTaps + left : p.stageTaps, sum);
            if (left > 0) syncBlock();
          }
        }

  bool valid[8];
  int64_t voxel[8];
  RVX_UNROLL
  for (int i = 0; i < 8; ++i) {
    const int d = at.j[0] + dFirst + i / 4, h = at.j[1] + hFirst + i % 4, w = at.j[2] + t % 8;
    valid[i] = d < p.axis[0].outputs && h < p.axis[1].outputs && w < p.axis[2].outputs;
    voxel[i] = ((int64_t{at.sample} * p.outSize[0] + p.axis[0].start + d * p.axis[0].spread) *
                    p.outSize[1] +
                p.axis[1].start + h * p.axis[1].spread) *
                   p.outSize[2] +
               p.axis[2].start + w * p.axis[2].spread;
  }
  // A split's sums are raw: bias and type come when they are added.
  const DType type = p.split ? DType::f32 : p.type;
  void* y = p.split ? static_cast<float*>(p.y) + split * p.split : p.y;
  RVX_UNROLL
  for (int half = 0; half < 2; ++half) {
    const int c = co + (half * G + group) * 4;
    int part = divide(c, p.byCout), own = c - part * p.cout;
    RVX_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (p.split || !p.bias || c + k >= p.made) continue;
      const float b = ld(p.bias + (own + k) % p.cout);
      RVX_UNROLL
      for (int i = 0; i < 8; ++i) sum[i][half * 4 + k] += b;
    }
    if (p.cout % 4 == 0) {
      if (c >= p.made) continue;
      const int64_t shift =
          (int64_t{(part >> 2) * p.outSize[1] + (part >> 1 & 1)} * p.outSize[2] + (part & 1)) *
              p.cout +
          own;
      RVX_UNROLL
      for (int i = 0; i < 8; ++i)
        if (valid[i])
          storeFour(type, y, voxel[i] * p.cout + shift, sum[i][half * 4], sum[i][half * 4 + 1],
                    sum[i][half * 4 + 2], sum[i][half * 4 + 3]);
    } else {
      RVX_UNROLL
      for (int k = 0; k < 4; ++k) {
        if (own == p.cout) own = 0, ++part;
        const int64_t shift =
            (int64_t{(part >> 2) * p.outSize[1] + (part >> 1 & 1)} * p.outSize[2] + (part & 1)) *
                p.cout +
            own++;
        RVX_UNROLL
        for (int i = 0; i < 8; ++i)
          if (valid[i] && c + k < p.made)
            storeOne(type, y, voxel[i] * p.cout + shift, sum[i][half * 4 + k]);
      }
    }
  }
  if (p.moments && !p.split) {
    int count = 1;
    RVX_UNROLL
    for (int a = 0; a < 3; ++a) {
      const int left = p.axis[a].outputs - at.j[a];
      count *= left < p.axis[a].tile ? left : p.axis[a].tile;
    }
    writeMoments<G>(p, sum, valid, count, co, p.moments + int64_t{blockIdx.x} * p.cout + co);
  }
}

constexpr int kFinishChannels = 32, kFinishRows = 8, kFinishEach = 8;
constexpr int kFinishVoxels = kFinishRows * kFinishEach;

// y = bias + the splits' sums, in order, of kFinishVoxels voxels of a sample by 32 channels; and their moments.
RVX_KERNEL(kFinishChannels* kFinishRows)
addSplits(const float* partial, int splits, int64_t split, const float* bias, void* y, DType type,
          int64_t voxels, int cout, float4* moments) {
  auto* scratch = sharedMemory<float>();
  const auto lane = static_cast<int>(threadIdx.x) % 32, row = static_cast<int>(threadIdx.x) / 32;
  const int c = static_cast<int>(blockIdx.y) * kFinishChannels + lane;
  const int64_t sample = blockIdx.z, first = int64_t{blockIdx.x} * kFinishVoxels;
  const float b = bias && c < cout ? ld(bias + c) : 0.0f;
  float value[kFinishEach];
  RVX_UNROLL
  for (int i = 0; i < kFinishEach; ++i) {
    const int64_t v = first + row + i * kFinishRows;
    value[i] = 0;
    if (v >= voxels || c >= cout) continue;
    const int64_t at = (sample * voxels + v) * cout + c;
    float sum = 0;
    for (int s = 0; s < splits; ++s) sum += ld(partial + s * split + at);
    value[i] = sum + b;
    storeOne(type, y, at, value[i]);
  }
  if (!moments) return;
  const int count =
      static_cast<int>(voxels - first < kFinishVoxels ? voxels - first : kFinishVoxels);
  const auto total = [&](float mine) {
    sts(scratch + row * 32 + lane, mine);
    syncBlock();
    float sum = 0;
    for (int r = 0; r < kFinishRows; ++r) sum += lds(scratch + r * 32 + lane);
    syncBlock();
    return sum;
  };
  float mine = 0;
  RVX_UNROLL
  for (int i = 0; i < kFinishEach; ++i) mine += value[i];
  const float pivot = total(mine) / static_cast<float>(count);
  float deviation = 0, square = 0;
  RVX_UNROLL
  for (int i = 0; i < kFinishEach; ++i) {
    const float d = first + row + i * kFinishRows < voxels ? value[i] - pivot : 0.0f;
    deviation += d;
    square = fma(d, d, square);
  }
  deviation = total(deviation);
  square = total(square);
  if (row == 0 && c < cout)
    st(moments + (sample * gridDim.x + blockIdx.x) * cout + c,
       make_float4(pivot, deviation, square, static_cast<float>(count)));
}

constexpr int kMergeRows = 32;

// Mean and M2 of a sample's channels from the blocks' moments: 32 channels, in kMergeRows parts that are added in order.
RVX_KERNEL(32 * kMergeRows)
mergeMoments(const float4* moments, int64_t blocks, int cout, float* sums) {
  auto* scratch = sharedMemory<double>();
  const auto lane = static_cast<int>(threadIdx.x) % 32, row = static_cast<int>(threadIdx.x) / 32;
  const int c = static_cast<int>(blockIdx.x) * 32 + lane;
  const int64_t sample = blockIdx.y;
  const bool real = c < cout;
  const float4* from = moments + sample * blocks * cout + (real ? c : 0);
  const double pivot = static_cast<double>(ld(from).x);
  double count = 0, deviation = 0, square = 0;
  for (int64_t b = row; b < blocks; b += kMergeRows) {
    const float4 m = ld(from + b * cout);
    const double d = static_cast<double>(m.x) - pivot, n = static_cast<double>(m.w),
                 s = static_cast<double>(m.y);
    count += n;
    deviation += s + n * d;
    square += static_cast<double>(m.z) + (2 * s + n * d) * d;
  }
  const auto total = [&](double mine) {
    sts(scratch + row * 32 + lane, mine);
    syncBlock();
    double sum = 0;
    if (row == 0)
      for (int r = 0; r < kMergeRows; ++r) sum += lds(scratch + r * 32 + lane);
    syncBlock();
    return sum;
  };
  count = total(count);
  deviation = total(deviation);
  square = total(square);
  if (row != 0 || !real) return;
  const double mean = deviation / count, m2 = square - deviation * mean;
  st(sums + (sample * cout + c) * 2, static_cast<float>(pivot + mean));
  st(sums + (sample * cout + c) * 2 + 1, static_cast<float>(m2 > 0 ? m2 : 0.0));
}

// Tile and lattices of one class; chooses chunk and group so that the inputs fit.
struct Layout {
  int chunk = 1;
  size_t inputBytes = 0;
};

int placesOf(Exact& p, int groups, const int (&tile)[3]) {
  for (int a = 0; a < 3; ++a)
    p.axis[a].lay(tile[a], a < groups ? std::min(1, p.axis[a].taps) : p.axis[a].taps);
  p.phase = (p.axis[2].count + p.axis[2].lstep - 1) / p.axis[2].lstep;
  p.rowPitch = p.phase * p.axis[2].lstep;
  const int64_t places = int64_t{p.rowPitch} * p.axis[1].count * p.axis[0].count;
  if (places > (1 << 20)) return 1 << 20;
  p.planePitch = p.rowPitch * p.axis[1].count;
  // The second quad's plane starts 64 bytes off a row of banks, so that storing both at once meets no conflict.
  p.places = (static_cast<int>(places) + 3) / 8 * 8 + 4;
  return p.places;
}

void layOut(Exact& p, int G, int chunk) {
  const int threadsD = G <= 2 ? 4 : 2;
  const int tile[3] = {2 * threadsD, 4 * (16 / G / threadsD), kTileW};
  // One index along the first `groups` axes at a time, until the inputs fit; the last always does.
  for (int groups = 0; groups <= 3; ++groups)
    for (int tried = chunk;; tried = 4) {
      p.chunk = tried;
      if (size_t(placesOf(p, groups, tile)) * size_t(tried) * sizeof(float) <= kInputBytes ||
          (groups == 3 && tried <= 4))
        return;
      if (tried <= 4) break;
    }
}

template <int G>
void launchConvolve(Context& cx, const char* name, const Exact& p, bool quads, Dim3 blocks,
                    size_t shared) {
  if (quads)
    launch(cx, name, blocks, kThreads, shared, &convolve<G, true>, p);
  else
    launch(cx, name, blocks, kThreads, shared, &convolve<G, false>, p);
}

// Channel groups of a block: the least padding, and less weight per FFMA with more of them.
int chooseGroups(int64_t made) {
  int best = 1;
  double least = 1e30;
  for (int G : {1, 2, 4, 8}) {
    const double cost = double((made + 8 * G - 1) / (8 * G) * 8 * G) * (1 + 0.5 / G);
    if (cost < least) least = cost, best = G;
  }
  return best;
}

}  // namespace

void runExactGather(Context& cx, const char* name, ExactGather g) {
  const int64_t voxels = g.outSize[0] * g.outSize[1] * g.outSize[2];
  if (g.samples * voxels * g.cout == 0 || g.classes.empty()) return;
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2];
  const int cin = g.in.channels();
  const bool quads = cin > 3;
  const int wanted = !quads ? std::max(1, cin) : cin > 4 ? 8 : 4;
  const int made = checkedInt(g.cout * g.parts), G = chooseGroups(made);

  Exact p{};
  p.in = g.in;
  p.runs = g.in.runsOf(4);
  p.cout = checkedInt(g.cout), p.made = made;
  p.coutPad = (made + 8 * G - 1) / (8 * G) * 8 * G;
  p.cinPad = (cin + 7) / 8 * 8;
  p.kernelH = checkedInt(g.kernel[1]), p.kernelW = checkedInt(g.kernel[2]);
  p.byCout = Divider(p.cout);
  p.bias = g.bias, p.y = g.y, p.type = g.type;
  for (size_t a = 0; a < 3; ++a) p.outSize[a] = checkedInt(g.outSize[a]);

  const int64_t pairs = int64_t{p.cinPad} * p.coutPad;
  const Workspace weights(cx, size_t(std::max<int64_t>(1, taps * pairs)) * sizeof(float));
  launch(cx, (std::string(name) + "/weights").c_str(), blocksFor(pairs, kThreads), kThreads, 0,
         &packWeights, g.weight, weights.data(), checkedInt(taps), cin, p.cinPad, made, p.coutPad,
         p.cout, g.weightCo, g.weightCi, g.in.operand);
  p.weight = weights.data();

  const auto blocksOf = [&](const Exact& e) {
    return g.samples * e.axis[0].tiles() * e.axis[1].tiles() * e.axis[2].tiles();
  };
  const auto begin = [&](const std::array<GatherAxis, 3>& axes) {
    Exact e = p;
    for (size_t a = 0; a < 3; ++a) e.axis[a] = axes[a];
    layOut(e, G, wanted);
    e.chunks = (cin + e.chunk - 1) / e.chunk;
    return e;
  };

  // Splits, by the first class, the largest.
  const Exact largest = begin(g.classes[0]);
  const int64_t blocks = std::max<int64_t>(1, blocksOf(largest) * (p.coutPad / (8 * G)));
  int64_t terms = cin;
  for (const GatherAxis& a : largest.axis) terms *= std::max(1, a.taps);
  int64_t splits = std::max((terms + kLongestSum - 1) / kLongestSum, (kFill + blocks - 1) / blocks);
  splits = std::clamp<int64_t>(splits, 1, std::max(1, largest.chunks));
  const int64_t size = g.samples * voxels * g.cout;
  const Workspace partial(cx, splits > 1 ? size_t(splits * size) * sizeof(float) : 16);
  if (splits > 1) p.split = size, p.y = partial.data();

  const int64_t finishBlocks = (voxels + kFinishVoxels - 1) / kFinishVoxels;
  const int64_t momentBlocks = splits > 1 ? finishBlocks : blocksOf(largest) / g.samples;
  const Workspace moments(cx,
                          g.sums ? size_t(g.samples * momentBlocks * g.cout) * sizeof(float4) : 16);
  if (g.sums) p.moments = moments.data<float4>();

  for (const auto& axes : g.classes) {
    Exact e = begin(axes);
    if (blocksOf(e) == 0) continue;
    e.chunksPerSplit = static_cast<int>((e.chunks + splits - 1) / splits);
    e.byColumns = Divider(e.axis[2].count), e.byRows = Divider(e.axis[1].count);
    e.byStepW = Divider(e.axis[2].lstep), e.byChunk = Divider(e.chunk);
    e.byGroupW = Divider(std::max(1, e.axis[2].group));
    e.byGroupH = Divider(std::max(1, e.axis[1].group));
    e.groupTaps = e.axis[0].group * e.axis[1].group * e.axis[2].group;
    e.stageTaps = std::clamp(kStageFloats / (e.chunk * 8 * G), 1, std::max(1, e.groupTaps));
    size_t input = size_t(e.places) * size_t(e.chunk) * sizeof(float);
    input = (input + 15) / 16 * 16;
    e.weightAt = static_cast<unsigned>(input);
    // The moments' scratch lies over both: 128 floats and two rows of totals.
    const size_t shared = std::max<size_t>(
        input + 2 * size_t(e.stageTaps * e.chunk * 8 * G) * sizeof(float), 1024 + 512);
    const Dim3 grid{blocksFor(blocksOf(e), 1), static_cast<unsigned>(p.coutPad / (8 * G)),
                    static_cast<unsigned>(splits)};
    switch (G) {
      case 1:
        launchConvolve<1>(cx, name, e, quads, grid, shared);
        break;
      case 2:
        launchConvolve<2>(cx, name, e, quads, grid, shared);
        break;
      case 4:
        launchConvolve<4>(cx, name, e, quads, grid, shared);
        break;
      default:
        launchConvolve<8>(cx, name, e, quads, grid, shared);
    }
  }
  if (splits > 1)
    launch(cx, (std::string(name) + "/add").c_str(),
           Dim3{blocksFor(finishBlocks, 1), blocksFor(g.cout, kFinishChannels),
                static_cast<unsigned>(g.samples)},
           kFinishChannels * kFinishRows, kFinishChannels * kFinishRows * sizeof(float), &addSplits,
           partial.data(), static_cast<int>(splits), size, g.bias, g.y, g.type, voxels, p.cout,
           p.moments);
  if (g.sums)
    launch(cx, (std::string(name) + "/moments").c_str(),
           Dim3{blocksFor(g.cout, 32), static_cast<unsigned>(g.samples), 1}, 32 * kMergeRows,
           32 * kMergeRows * sizeof(double), &mergeMoments, moments.data<float4>(), momentBlocks,
           p.cout, g.sums);
}

void convolveExact(const Conv3d& op, Context& cx) {
  const Shape &s = op.x.shape(), &w = op.weight.shape(), &out = op.y.shape;
  ExactGather g;
  g.samples = s[0];
  g.in = Sources(op.x.dtype(), op.type.operand());
  g.in.set(0, op.x.data<void>(), s[4], op.scale.data(), op.shift.data(), op.slope);
  if (op.second)
    g.in.set(1, op.second.data<void>(), op.second.shape()[4], op.secondScale.data(),
             op.secondShift.data(), op.slope);
  g.classes.resize(1);
  for (int a = 0; a < 3; ++a) {
    const auto i = size_t(a);
    g.kernel[i] = w[a + 2], g.outSize[i] = out[a + 1];
    g.classes[0][i] = convolutionAxis(s[a + 1], out[a + 1], w[a + 2], op.stride[i], op.padding[i],
                                      op.dilation[i]);
  }
  g.weight = op.weight.data();
  g.weightCi = w[2] * w[3] * w[4];
  g.weightCo = w[1] * g.weightCi;
  g.bias = op.bias.data();
  g.y = op.y.data<void>(), g.type = op.type.result();
  g.cout = w[0];
  g.sums = op.sums.data();
  runExactGather(cx, "conv3d/exact", std::move(g));
}

void convolveExactGradInput(const Conv3dGradInput& op, Context& cx) {
  const Shape &s = op.dy.shape(), &w = op.weight.shape();
  ExactGather g;
  g.samples = s[0];
  g.in = Sources(op.dy.dtype(), op.type.operand());
  g.in.set(0, op.dy.data<void>(), s[4]);
  g.kernel = {w[2], w[3], w[4]};
  g.outSize = op.size;
  for (int64_t d = 0; d < op.stride[0]; ++d)
    for (int64_t h = 0; h < op.stride[1]; ++h)
      for (int64_t x = 0; x < op.stride[2]; ++x) {
        const Int3 rest{d, h, x};
        std::array<GatherAxis, 3> axes;
        for (size_t a = 0; a < 3; ++a)
          axes[a] = gradientAxis(s[int(a) + 1], op.size[a], g.kernel[a], op.stride[a],
                                 op.padding[a], op.dilation[a], rest[a]);
        g.classes.push_back(axes);
      }
  g.weightCo = w[2] * w[3] * w[4];
  g.weightCi = w[1] * g.weightCo;
  g.weight = op.weight.data() + op.first * g.weightCo;
  g.y = op.dx.data<void>(), g.type = op.type.result();
  g.cout = op.dx.shape[4];
  runExactGather(cx, "conv3dGradInput/exact", std::move(g));
}

}  // namespace rvx::cuda
