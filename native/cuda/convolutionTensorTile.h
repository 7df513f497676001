// Device code of tensor-core convolutions: loading a halo (with norm, activation and rounding), the products of a tile, and what
// becomes of the sums. The kernel that goes over tiles is in convolutionTensorKernel.h.
#pragma once
#include "cuda/convolutionTensorPlan.h"
#include "cuda/kernel.h"
#include "math/activation.h"

namespace rvx::cuda {

// The tensor that an up-sampled source is made of.
struct TensorUpPass {
  const void* x;
  const float *scale, *shift;
  int channels, coutUnits;
  bool copied, aligned;
  const uint4* weight;  // packedTransposed
  const float* bias;
};

// What a gradient's kernel knows besides (convolutionTensorGrad.h).
struct TensorGradPass {
  const void* raw;            // what dy is formed of, or nullptr
  const float* coefficients;  // [5, N, channels]
  int64_t plane;              // of them
  float slope;
  const void* below;    // as y; nullptr: no sums
  const float4* table;  // [N, cout]: its norms
  float belowSlope;
  float2* sums;  // [N, cout, parts]
};

// What a kernel knows, by value.
struct TensorPass {
  TensorTile tile;
  TensorAxis axisD, axisH, axisW;
  const void* x;
  const void* second;
  const float *scale, *shift, *secondScale, *secondShift;
  int channels, secondChannels;
  Stored stored;
  bool copied,
      secondCopied;  // needs nothing done to it: goes to shared memory by asynchronous copies
  bool aligned, secondAligned;  // eight channels lie on 16 bytes
  float slope;
  const void* weight;    // packed
  int weightRows;        // output channels there, with padding
  int kernelH, kernelW;  // axes of the weight
  const float* bias;
  void* y;  // of split steps: the partials
  Stored yStored;
  int cout;
  int64_t ySize;   // elements, the distance of partials
  float* moments;  // [N, cout, parts, 2], counts [N, parts]
  float* counts;
  int parts;
  int tiles;              // parts of all samples
  const float* poolSign;  // [cout]
  void* pooled;           // as y; nullptr: the store pools nothing
  TensorUpPass up;
  TensorGradPass grad;
};

// Which output voxels a block makes, by the number of its tile.
struct TensorPlace {
  int sample, part;  // part: number of the tile within its sample
  int classD, classH, classW;
  int d, h, w;  // first positions of the tile
};
RVX_DEVICE TensorPlace placeOf(const TensorPass& p, unsigned tile) {
  const TensorTile& t = p.tile;
  TensorPlace at;
  auto rest = static_cast<unsigned>(tile);
  const auto take = [&rest](int count) {
    const unsigned r = rest % static_cast<unsigned>(count);
    rest /= static_cast<unsigned>(count);
    return static_cast<int>(r);
  };
  at.w = take(t.tilesW) * t.sizeW;
  at.h = take(t.tilesH) * t.sizeH;
  at.d = take(t.tilesD) * t.sizeD;
  at.classW = take(p.axisW.classes);
  at.classH = take(p.axisH.classes);
  at.classD = take(p.axisD.classes);
  at.sample = static_cast<int>(rest);
  at.part = static_cast<int>(tile) - at.sample * p.parts;
  return at;
}

// Input positions along an axis: `from + i * by` for the halo's i-th; of a gathered tile for one tap.
struct HaloAxis {
  int from, by;
};
RVX_DEVICE HaloAxis haloAxis(const TensorAxis& a, int r, int j, int step, int tap) {
  const int moved = r + a.shift;
  const int offset = moved >= 0 ? moved / a.apart : -((a.apart - 1 - moved) / a.apart);
  const int base = moved - offset * a.apart;
  return {base + a.apart * (j * a.step + offset + tap * a.tapStep), a.apart * (a.step / step)};
}
struct Halo {
  HaloAxis d, h, w;
};
// `tap`: of gathered tiles, else 0.
RVX_DEVICE Halo haloOf(const TensorPass& p, const TensorPlace& at, int tap) {
  const TensorTile& t = p.tile;
  int kd = 0, kh = 0, kw = 0;
  if (t.gathered && tap > 0) {
    kw = tap % p.axisW.taps, kh = tap / p.axisW.taps % p.axisH.taps;
    kd = tap / p.axisW.taps / p.axisH.taps;
  }
  Halo halo{haloAxis(p.axisD, at.classD, at.d, t.stepD, kd),
            haloAxis(p.axisH, at.classH, at.h, t.stepH, kh),
            haloAxis(p.axisW, at.classW, at.w, t.phases, kw)};
  if (t.packed > 1) halo.w.by = p.axisW.apart;
  return halo;
}
struct HaloSlot {
  int d, h, w;
};
RVX_DEVICE HaloSlot slotAt(const TensorTile& t, int slot) {
  const int d = slot / t.slice, inSlice = slot - d * t.slice;
  const int h = inSlice / t.pitch, inRow = inSlice - h * t.pitch;
  if (t.phases == 1) return {d, h, inRow};
  const int phase = inRow / t.phase;
  return {d, h, (inRow - phase * t.phase) * t.phases + phase};
}
RVX_DEVICE int voxelAt(const TensorPass& p, const Halo& halo, int d, int h, int w) {
  const int i = halo.d.from + d * halo.d.by, j = halo.h.from + h * halo.h.by,
            k = halo.w.from + w * halo.w.by;
  const bool inside =
      i >= 0 && i < p.axisD.in && j >= 0 && j < p.axisH.in && k >= 0 && k < p.axisW.in;
  return inside ? (i * p.axisH.in + j) * p.axisW.in + k : -1;
}
// Number of the input voxel in its sample that belongs into a slot; -1: zeros.
RVX_DEVICE int voxelOf(const TensorPass& p, const Halo& halo, int slot) {
  const TensorTile& t = p.tile;
  const HaloSlot s = slotAt(t, slot);
  return s.d < t.haloD && s.h < t.haloH && s.w < t.haloW ? voxelAt(p, halo, s.d, s.h, s.w) : -1;
}

// Of an item's plane: where its input begins in the halo. Of an item: its index in the packed weight.
RVX_DEVICE int offsetOf(const TensorPass& p, int item, int plane) {
  const TensorTile& t = p.tile;
  int tap = t.paired ? 2 * item + plane : item;
  const int other = t.paired ? 0 : plane * t.slots;
  if (t.gathered) return other;
  const int taps = p.axisD.taps * p.axisH.taps * t.tapsW;
  if (tap >= taps) tap = 0;  // its weights are zeros
  const int kw = tap % t.tapsW, kh = tap / t.tapsW % p.axisH.taps;
  const int kd = tap / t.tapsW / p.axisH.taps, w = kw * t.tapStepW;
  return other + kd * p.axisD.tapStep * t.slice + kh * p.axisH.tapStep * t.pitch +
         w % t.phases * t.phase + w / t.phases;
}
RVX_DEVICE int indexOf(const TensorPass& p, int item) {
  if (p.tile.paired) return item;
  const int kw = item % p.axisW.taps, kh = item / p.axisW.taps % p.axisH.taps;
  const int kd = item / p.axisW.taps / p.axisH.taps;
  return ((p.axisD.kernel + kd * p.axisD.kernelStep) * p.kernelH + p.axisH.kernel +
          kh * p.axisH.kernelStep) *
             p.kernelW +
         p.axisW.kernel + kw * p.axisW.kernelStep;
}

// Eight channels as they are stored.
struct Eight {
  uint4 low, high;  // high: of f32 alone
};
template <class S>
RVX_DEVICE Eight fetchEight(const void* x, int64_t at, int count, bool aligned) {
  Eight e{make_uint4(0, 0, 0, 0), make_uint4(0, 0, 0, 0)};
  const S* from = static_cast<const S*>(x) + at;
  if (aligned) {
    e.low = ld(reinterpret_cast<const uint4*>(from));
    if (sizeof(S) == 4) e.high = ld(reinterpret_cast<const uint4*>(from) + 1);
    return e;
  }
  uint32_t word[8] = {};
  RVX_UNROLL
  for (int j = 0; j < 8; ++j) {
    if (j >= count) break;
    const S value = ld(from + j);
    if constexpr (sizeof(S) == 4)
      word[j] = toBits(value);
    else
      word[j / 2] |= static_cast<uint32_t>(value.bits) << (j % 2 * 16);
  }
  e.low = make_uint4(word[0], word[1], word[2], word[3]);
  if (sizeof(S) == 4) e.high = make_uint4(word[4], word[5], word[6], word[7]);
  return e;
}
template <class S>
RVX_DEVICE void widen(const Eight& e, float (&v)[8]) {
  const uint32_t word[8] = {e.low.x,  e.low.y,  e.low.z,  e.low.w,
                            e.high.x, e.high.y, e.high.z, e.high.w};
  RVX_UNROLL
  for (int j = 0; j < 8; ++j) {
    if constexpr (sizeof(S) == 4)
      v[j] = fromBits(word[j]);
    else
      v[j] = j % 2 ? unpackHigh<S>(word[j / 2]) : unpackLow<S>(word[j / 2]);
  }
}

// Eight channels of one source, and what is done to them on the way.
struct Lane8 {
  const void* x;
  int channels, channel, count;  // count: of the eight that exist; 0: the unit is padding
  bool copied, aligned, normed;
  float scale[8], shift[8];
};
RVX_DEVICE Lane8 laneFrom(const void* x, const float* scale, const float* shift, int channels,
                          bool copied, bool aligned, int sample, int unit) {
  Lane8 l;
  l.x = x;
  l.channels = channels;
  l.channel = unit * 8;
  const int left = l.channels - l.channel;
  l.count = left > 8 ? 8 : left < 0 ? 0 : left;
  l.copied = copied;
  l.aligned = aligned;
  l.normed = scale != nullptr;
  const int64_t at = int64_t{sample} * l.channels + l.channel;
  RVX_UNROLL
  for (int j = 0; j < 8; ++j) {
    const bool there = l.normed && j < l.count;
    l.scale[j] = there ? ld(scale + at + j) : 0.0f;
    l.shift[j] = there ? ld(shift + at + j) : 0.0f;
  }
  return l;
}
RVX_DEVICE Lane8 laneOf(const TensorPass& p, int sample, int unit) {
  const bool second = unit >= p.tile.firstChannels8;
  return laneFrom(second ? p.second : p.x, second ? p.secondScale : p.scale,
                  second ? p.secondShift : p.shift, second ? p.secondChannels : p.channels,
                  second ? p.secondCopied : p.copied, second ? p.secondAligned : p.aligned, sample,
                  second ? unit - p.tile.firstChannels8 : unit);
}
// S stored, T in shared memory. Channels that do not exist become zero: their scale and shift are.
template <class S, class T>
RVX_DEVICE uint4 prepared(const Lane8& l, const Eight& e, float slope) {
  float v[8];
  widen<S>(e, v);
  if (l.normed) {
    RVX_UNROLL
    for (int j = 0; j < 8; ++j) v[j] = leakyRelu(v[j] * l.scale[j] + l.shift[j], slope);
  }
  return make_uint4(pack<T>(v[0], v[1]), pack<T>(v[2], v[3]), pack<T>(v[4], v[5]),
                    pack<T>(v[6], v[7]));
}

// Fills slots first, first + by, .. of a plane; `voxel(slot)` is the input voxel's number or -1.
template <class S, class T, class Voxel>
RVX_DEVICE void fillPlane(const Lane8& l, float slope, int64_t sampleVoxels, uint4* plane,
                          int first, int by, int slots, Voxel voxel) {
  constexpr int kBatch = 2;  // loads under way at once; more would spill registers
  const int64_t base = sampleVoxels * l.channels + l.channel;
  for (int slot = first; slot < slots; slot += by * kBatch) {
    Eight e[kBatch];
    int from[kBatch];
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      const int s = slot + b * by;
      from[b] = s < slots && l.count > 0 ? voxel(s) : -1;
      if (from[b] >= 0)
        e[b] = fetchEight<S>(l.x, base + int64_t{from[b]} * l.channels, l.count, l.aligned);
    }
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      const int s = slot + b * by;
      if (s >= slots) break;
      sts(plane + s, from[b] >= 0 ? prepared<S, T>(l, e[b], slope) : make_uint4(0, 0, 0, 0));
    }
  }
}
// The same from a source stored as the pass says, by asynchronous copies where nothing is done to it.
template <class T, class Voxel>
RVX_DEVICE void fillFrom(const TensorPass& p, const Lane8& l, int64_t voxels, uint4* to, int first,
                         int by, int slots, Voxel voxel) {
  if (l.copied && l.count == 8) {
    const auto* x = static_cast<const T*>(l.x) + voxels * l.channels + l.channel;
    for (int slot = first; slot < slots; slot += by) {
      const int from = voxel(slot);
      cpAsync16(to + slot, x + (from >= 0 ? int64_t{from} * l.channels : 0), from >= 0);
    }
  } else if (p.stored == Stored::f32) {
    fillPlane<float, T>(l, p.slope, voxels, to, first, by, slots, voxel);
  } else if (p.stored == Stored::bf16) {
    fillPlane<Bf16, T>(l, p.slope, voxels, to, first, by, slots, voxel);
  } else {
    fillPlane<F16, T>(l, p.slope, voxels, to, first, by, slots, voxel);
  }
}
RVX_DEVICE int64_t voxelsBefore(const TensorPass& p, int sample) {
  return int64_t{sample} * p.axisD.in * (int64_t{p.axisH.in} * p.axisW.in);
}
// The planes of a chunk by all threads: of two, even ones the first, odd ones the second, so that neighbours read neighbouring
// channels.
template <class T, class Voxel>
RVX_DEVICE void fillHalo(const TensorPass& p, int sample, int chunk, uint4* halo, Voxel voxel) {
  const int two = p.tile.paired ? 0 : 1, slots = p.tile.slots;
  const int plane = static_cast<int>(threadIdx.x) & two;
  const int first = static_cast<int>(threadIdx.x) >> two, by = static_cast<int>(blockDim.x) >> two;
  const Lane8 l = laneOf(p, sample, 2 * chunk + plane);
  fillFrom<T>(p, l, voxelsBefore(p, sample), halo + plane * slots, first, by, slots, voxel);
}

RVX_DEVICE float loadAs(Stored stored, const void* x, int64_t at) {
  if (stored == Stored::f32) return ld(static_cast<const float*>(x) + at);
  const uint16_t bits = ld(static_cast<const uint16_t*>(x) + at);
  return stored == Stored::bf16 ? unpackLow<Bf16>(bits) : unpackLow<F16>(bits);
}
// The halo of packed taps: every value once into `raw`, then the units of them. By all threads; the halo is there after the next barrier.
template <class T>
RVX_DEVICE void fillPacked(const TensorPass& p, const TensorPlace& at, const Halo& halo,
                           uint16_t* raw, uint4* units) {
  const TensorTile& t = p.tile;
  constexpr int kBatch = 4;
  const auto tid = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  const int total = t.haloD * t.haloH * t.rawPitch;
  const int64_t voxels = int64_t{at.sample} * p.axisD.in * (int64_t{p.axisH.in} * p.axisW.in);
  for (int first = tid; first < total; first += kBatch * threads) {
    float value[kBatch];
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      const int i = first + b * threads;
      value[b] = 0;
      if (i >= total) continue;
      const int row = i / t.rawPitch, inRow = i - row * t.rawPitch;
      const int w = inRow / p.channels, c = inRow - w * p.channels;
      const int d = row / t.haloH;
      const int voxel = voxelAt(p, halo, d, row - d * t.haloH, w);
      if (voxel < 0) continue;
      value[b] = loadAs(p.stored, p.x, (voxels + voxel) * p.channels + c);
      if (p.scale) {
        const int64_t k = int64_t{at.sample} * p.channels + c;
        value[b] = leakyRelu(value[b] * ld(p.scale + k) + ld(p.shift + k), p.slope);
      }
    }
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      const int i = first + b * threads;
      if (i < total) sts(raw + i, static_cast<uint16_t>(pack<T>(value[b], 0.0f)));
    }
  }
  syncBlock();
  const int next = p.axisW.tapStep * p.channels;
  for (int slot = tid; slot < t.slots; slot += threads) {
    const HaloSlot s = slotAt(t, slot);
    uint32_t word[4] = {};
    if (s.d < t.haloD && s.h < t.haloH && s.w < t.haloW) {
      const uint16_t* from =
          raw + (s.d * t.haloH + s.h) * t.rawPitch + s.w * t.rawStep * p.channels;
      int tap = 0, c = 0;
      RVX_UNROLL
      for (int j = 0; j < 8; ++j) {
        if (tap < t.packed) word[j / 2] |= uint32_t{lds(from + tap * next + c)} << (j % 2 * 16);
        if (++c == p.channels) c = 0, ++tap;
      }
    }
    sts(units + slot, make_uint4(word[0], word[1], word[2], word[3]));
  }
}

// The weights of `items` items from `first` on for one chunk and the block's output channels: [item][2][blockN] units.
RVX_DEVICE void fillWeights(const TensorPass& p, int chunk, int first, int items, int fromRow,
                            const int* indices, uint4* weights) {
  const int rows = p.tile.blockN(), rowsOf2 = 2 * rows;
  const auto* packed = static_cast<const uint4*>(p.weight);
  for (int i = static_cast<int>(threadIdx.x); i < items * rowsOf2;
       i += static_cast<int>(blockDim.x)) {
    const int item = i / rowsOf2, rest = i - item * rowsOf2;
    const int plane = rest >= rows ? 1 : 0, row = rest - plane * rows;
    const int index = lds(indices + first + item);
    const int64_t unit = int64_t{index} * p.tile.channels8 + 2 * chunk + plane;
    cpAsync16(weights + i, packed + unit * p.weightRows + fromRow + row, true);
  }
}

// What a lane reads and makes.
struct TensorLane {
  int slot;    // of its row in the tile's halo
  int plane;   // 0 or 1: which plane's unit it reads
  int weight;  // unit of its row of weights
  int rowSlots,
      patchSlots;  // from one row of a warp to the next, from one patch along D to the next
  // Of the warp's first voxel in the tile and its first output channel in the block: a byte each, since they wait in one register
  // while the tile is multiplied.
  uint32_t place;
  RVX_DEVICE int d() const { return static_cast<int>(place & 255); }
  RVX_DEVICE int h() const { return static_cast<int>(place >> 8 & 255); }
  RVX_DEVICE int w() const { return static_cast<int>(place >> 16 & 255); }
  RVX_DEVICE int column() const { return static_cast<int>(place >> 24); }
};
RVX_DEVICE TensorLane tensorLane(const TensorPass& p) {
  const TensorTile& t = p.tile;
  const int lane = static_cast<int>(threadIdx.x) & 31;
  int warp = static_cast<int>(threadIdx.x) >> 5;
  const int warpN = warp % t.warpsN;
  warp /= t.warpsN;
  const int ww = warp % t.warpsW, wh = warp / t.warpsW % t.warpsH, wd = warp / t.warpsW / t.warpsH;
  TensorLane l;
  const int d = wd * t.depth * t.patchD, h = wh * kTileRows, w = ww * t.patchW;
  const int column = warpN * 8 * t.columns;
  l.place = static_cast<uint32_t>(d | h << 8 | w << 16) | static_cast<uint32_t>(column) << 24;
  const int row = lane & 15;
  l.slot = (d + row / t.patchW) * t.stepD * t.slice + h * t.stepH * t.pitch + w + row % t.patchW;
  l.plane = lane >> 4;
  l.rowSlots = t.stepH * t.pitch;
  l.patchSlots = t.patchD * t.stepD * t.slice;
  l.weight = (lane >> 3 & 1) * t.blockN() + column + (lane >> 4) * 8 + (lane & 7);
  return l;
}

// acc[patch][row][column] += products of one step's `count` items. `input` points to the lane's row of the halo, `weights` to the
// lane's row of the first item, `offsets` to that item's offset for the lane's plane. With Shared the items are taps (kd, kh 0..2, kw)
// and each input row serves three of them.
template <class T, int Depth, int Columns>
using Accumulators = float[Depth][kTileRows][Columns][4];

template <class T, bool Shared, int Depth, int Columns>
RVX_DEVICE void multiplyTile(Accumulators<T, Depth, Columns>& acc, const uint4* input,
                             const uint4* weights, const int* offsets, int count, int tapsW,
                             int itemUnits, int rowSlots, int patchSlots) {
  constexpr int kTaps = Shared ? 3 : 1;
  const int ways = Shared ? count / 3 : count;
  for (int q = 0; q < ways; ++q) {
    // Of shared rows: kd = q / tapsW, kw = q % tapsW.
    const int item = Shared ? q / tapsW * 3 * tapsW + q % tapsW : q;
    uint32_t b[kTaps][Columns][2];
    RVX_UNROLL
    for (int k = 0; k < kTaps; ++k) {
      RVX_UNROLL
      for (int c = 0; c < Columns; c += 2) {
        uint32_t r[4];
        ldmatrixX4(r, weights + (item + k * tapsW) * itemUnits + c * 8);
        b[k][c][0] = r[0], b[k][c][1] = r[1], b[k][c + 1][0] = r[2], b[k][c + 1][1] = r[3];
      }
    }
    const uint4* from = input + lds(offsets + 2 * item);
    RVX_UNROLL
    for (int d = 0; d < Depth; ++d) {
      RVX_UNROLL
      for (int row = 0; row < kTileRows + kTaps - 1; ++row) {
        uint32_t a[4];
        ldmatrixX4(a, from + d * patchSlots + row * rowSlots);
        RVX_UNROLL
        for (int k = 0; k < kTaps; ++k) {
          if (row - k < 0 || row - k >= kTileRows) continue;
          RVX_UNROLL
          for (int c = 0; c < Columns; ++c) mma16816<T>(acc[d][row - k][c], a, b[k][c]);
        }
      }
    }
  }
}

}  // namespace rvx::cuda
