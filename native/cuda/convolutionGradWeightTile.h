// Device code that weight gradients share: which work a block has, and staging both tensors' tiles in shared memory.
#pragma once
#include "cuda/convolutionGradWeightPlan.h"
#include "cuda/operandUnit.h"
#include "math/norm.h"

namespace rvx::cuda {

struct GradImage {
  UnitSource source;
  DType type;
  bool copied;                 // units are stored as they are needed
  const float *scale, *shift;  // of the norm, or null
};
// What a kernel knows, by value.
struct GradPass {
  GradTile tile;
  GradImage coarse, fine[2];
  bool normed;      // either of them
  float slope;      // of the activation after a norm
  float* partials;  // [split and voxel group][tap][coarse channel][fine channel], with padding
  // What coarse is formed of; read by kernels of that form alone.
  const void* raw;
  const float* coefficients;  // [5, N, coarse channels]
  int64_t plane;              // of them
  float formedSlope;
};

// The block's share: box and channels along x, so that blocks which read the same voxels run together; the run of tiles along y.
enum GradShare : int { kFirstTapD, kFirstTapH, kFirstTapW, kCoarseTile, kFineTile, kShares };
RVX_DEVICE void shareOf(const GradTile& t, int (&share)[kShares]) {
  auto rest = static_cast<int>(blockIdx.x);
  RVX_UNROLL
  for (int a = 2; a >= 0; --a) {
    share[kFirstTapD + a] = rest % t.boxes[a] * t.axis[a].group;
    rest /= t.boxes[a];
  }
  share[kCoarseTile] = rest % t.coarseTiles;
  share[kFineTile] = rest / t.coarseTiles;
}
RVX_DEVICE int runBegin(const GradTile& t, unsigned run) {
  return static_cast<int>(int64_t{t.tiles} * run / t.splits);
}

// Shared memory: taps; norms; where each slot of the lattice and of the coarse tile lies, as d, h, w in 10, 11 and 11 bits; both tiles.
// The tables, of which one may have an odd number of slots, stand behind what must lie at multiples of 8 bytes.
struct GradShared {
  int* share;  // here, since registers are scarce
  int2* taps;  // of each warp kWarpTaps: the slot that it begins at, its index in the weight or -1
  float2*
      norms;  // scale and shift of the block's coarse channels, then of the fine ones; here, since registers are scarce
  int *fineTable, *coarseTable;
  uint4 *coarse, *fine;
};
RVX_DEVICE GradShared sharedOf(const GradTile& t, unsigned tableBytes) {
  GradShared s;
  s.share = sharedMemory<int>();
  s.taps = sharedMemory<int2>(8 * 4);
  s.norms = sharedMemory<float2>(kGradNormsAt);
  s.fineTable = sharedMemory<int>(kGradTablesAt);
  s.coarseTable = s.fineTable + t.fineSlots;
  s.coarse = sharedMemory<uint4>(tableBytes);
  s.fine = s.coarse + t.coarsePitch * t.coarseUnits;
  return s;
}

RVX_DEVICE int slotOf(const GradTile& t, int d, int h, int w) {
  const int phases = t.axis[2].lstep;
  return d * t.slice + h * t.pitch + w % phases * t.phase + w / phases;
}

RVX_DEVICE void fillTables(const GradTile& t, const GradShared& s) {
  int share[kShares];
  shareOf(t, share);
  RVX_UNROLL
  for (int i = 0; i < kShares; ++i)
    if (threadIdx.x == 0) sts(s.share + i, share[i]);
  const auto first = static_cast<int>(threadIdx.x), by = static_cast<int>(blockDim.x);
  for (int slot = first; slot < t.fineSlots; slot += by) {
    const int d = slot / t.slice, inSlice = slot - d * t.slice;
    const int h = inSlice / t.pitch, inRow = inSlice - h * t.pitch;
    const int phase = inRow / t.phase;
    const int w = (inRow - phase * t.phase) * t.axis[2].lstep + phase;
    const bool real = d < t.axis[0].count && h < t.axis[1].count && w < t.axis[2].count;
    sts(s.fineTable + slot, real ? d << 22 | h << 11 | w : -1);
  }
  for (int slot = first; slot < t.coarseSlots; slot += by) {
    const int step = slot / 16, r = slot % 16;
    const int column = step / t.axis[1].tile, h = step - column * t.axis[1].tile;
    const int d = column / t.patchesW * t.patchD + r / t.patchW;
    const int w = column % t.patchesW * t.patchW + r % t.patchW;
    sts(s.coarseTable + slot, d << 22 | h << 11 | w);
  }
  for (int i = first; i < t.tapWarps * t.tapsPerWarp; i += by) {
    const int sizeH = t.axis[1].group, sizeW = t.axis[2].group;
    int d, h, w;
    if (t.rowsShared) {
      h = i % 3;
      d = i / 3 / sizeW, w = i / 3 % sizeW;
    } else {
      w = i % sizeW, h = i / sizeW % sizeH, d = i / sizeW / sizeH;
    }
    const int kd = share[kFirstTapD] + d, kh = share[kFirstTapH] + h, kw = share[kFirstTapW] + w;
    const bool real =
        d < t.axis[0].group && kd < t.axis[0].taps && kh < t.axis[1].taps && kw < t.axis[2].taps;
    // Taps that do not exist read some slots of the lattice, for sums that nobody stores.
    sts(s.taps + i,
        int2{real ? slotOf(t, d * t.axis[0].ltap, h * t.axis[1].ltap, w * t.axis[2].ltap)
                  : h * t.axis[1].ltap * t.pitch,
             real ? (kd * t.axis[1].taps + kh) * t.axis[2].taps + kw : -1});
  }
}

// Where a tile's slots lie in a tensor: position of d, h, w = 0, and the step.
struct GradRegion {
  int from[3], by[3], size[3];
  int64_t base;  // voxels before the sample
};
RVX_DEVICE int64_t voxelAt(const GradRegion& r, int packed) {
  const int d = r.from[0] + (packed >> 22) * r.by[0],
            h = r.from[1] + (packed >> 11 & 2047) * r.by[1],
            w = r.from[2] + (packed & 2047) * r.by[2];
  const bool inside =
      packed >= 0 && d >= 0 && d < r.size[0] && h >= 0 && h < r.size[1] && w >= 0 && w < r.size[2];
  return inside ? r.base + (int64_t{d} * r.size[1] + h) * r.size[2] + w : -1;
}

// `norms`: scale and shift of the unit's channels, in shared memory, where it is normed.
template <class S, class T>
RVX_DEVICE void fillPlane(const UnitSource& u, const GradRegion& region, bool normed,
                          const float2* norms, float slope, const int* table, uint4* plane,
                          int first, int by, int slots) {
  constexpr int kBatch = sizeof(T) == 4 ? 1 : 2;  // loads under way; registers are scarce
  for (int slot = first; slot < slots; slot += by * kBatch) {
    StoredUnit<S, T> stored[kBatch];
    bool inside[kBatch];
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      const int s = slot + b * by;
      const int64_t voxel = s < slots && u.count > 0 ? voxelAt(region, lds(table + s)) : -1;
      inside[b] = voxel >= 0;
      if (inside[b]) stored[b] = fetchUnit<S, T>(u, voxel);
    }
    RVX_UNROLL
    for (int b = 0; b < kBatch; ++b) {
      if (slot + b * by >= slots) continue;
      uint4 unit = make_uint4(0, 0, 0, 0);
      if (inside[b]) {
        float v[kUnitChannels<T>];
        widen(stored[b], v);
        if (normed) normalise(v, norms, slope);
        unit = packUnit<T>(v);
      }
      sts(plane + slot + b * by, unit);
    }
  }
}

// All planes of a tile by all threads, neighbours taking neighbouring units of a voxel. `units` is a power of two.
template <class T>
RVX_DEVICE void fillPlanes(GradImage image, int firstUnit, int units, int plane,
                           const GradRegion& region, const float2* norms, float slope,
                           const int* table, uint4* to, int pitch, int slots) {
  const int first = static_cast<int>(threadIdx.x) / units,
            by = static_cast<int>(blockDim.x) / units;
  image.source.first = firstUnit * kUnitChannels<T>;
  const int left = image.source.channels - image.source.first;
  image.source.count = left < 0 ? 0 : left < kUnitChannels<T> ? left : kUnitChannels<T>;
  to += plane * pitch;
  norms += plane * kUnitChannels<T>;
  const bool normed = image.scale != nullptr;
  if (image.copied) {
    const T* x = static_cast<const T*>(image.source.x) + image.source.first;
    for (int slot = first; slot < slots; slot += by) {
      const int64_t voxel = image.source.count > 0 ? voxelAt(region, lds(table + slot)) : -1;
      cpAsync16(to + slot, voxel >= 0 ? x + voxel * image.source.channels : image.source.x,
                voxel >= 0);
    }
  } else if (image.type == DType::f32) {
    fillPlane<float, T>(image.source, region, normed, norms, slope, table, to, first, by, slots);
  } else if (image.type == DType::bf16) {
    fillPlane<Bf16, T>(image.source, region, normed, norms, slope, table, to, first, by, slots);
  } else {
    fillPlane<F16, T>(image.source, region, normed, norms, slope, table, to, first, by, slots);
  }
}

// Coefficients of the block's coarse channels lie behind everything else: four of each, then the fifth ones. A unit's begin four banks
// apart from the next one's, which neighbouring threads take.
RVX_DEVICE int formedAt(int channel) { return channel + channel / 8; }
RVX_DEVICE float4* formedTable(const GradTile& t) { return sharedMemory<float4>(t.sharedBytes); }
RVX_DEVICE float* formedOffsets(const GradTile& t) {
  return reinterpret_cast<float*>(formedTable(t) + formedAt(t.coarseUnits * 8));
}
RVX_DEVICE void fillFormedTable(const GradPass& p, const GradShared& s, int tile) {
  const GradTile& t = p.tile;
  const int sample = tile / (t.axis[0].tiles() * t.axis[1].tiles() * t.axis[2].tiles());
  for (int i = static_cast<int>(threadIdx.x); i < t.coarseUnits * 8;
       i += static_cast<int>(blockDim.x)) {
    const int channel = lds(s.share + kCoarseTile) * t.coarseUnits * 8 + i;
    const bool real = channel < p.coarse.source.channels;
    const float* from =
        p.coefficients + (int64_t{sample} * p.coarse.source.channels + (real ? channel : 0));
    const auto value = [&](int k) { return real ? ld(from + k * p.plane) : 0.0f; };
    sts(formedTable(t) + formedAt(i), make_float4(value(0), value(1), value(2), value(3)));
    sts(formedOffsets(t) + formedAt(i), value(4));
  }
}

// fillPlanes of coarse where it is formed, stored as T.
template <class T>
RVX_DEVICE void fillFormedPlanes(const GradPass& p, int firstUnit, int plane,
                                 const GradRegion& region, const int* table, uint4* to) {
  const GradTile& t = p.tile;
  const int first = static_cast<int>(threadIdx.x) / t.coarseUnits,
            by = static_cast<int>(blockDim.x) / t.coarseUnits;
  UnitSource dy = p.coarse.source;
  dy.first = firstUnit * 8;
  const int left = dy.channels - dy.first;
  dy.count = left < 0 ? 0 : left < 8 ? left : 8;
  UnitSource raw = dy;
  raw.x = p.raw;
  const float4* four = formedTable(t) + formedAt(plane * 8);
  const float* offsets = formedOffsets(t) + formedAt(plane * 8);
  for (int slot = first; slot < t.coarseSlots; slot += by) {
    const int64_t voxel = dy.count > 0 ? voxelAt(region, lds(table + slot)) : -1;
    uint4 unit = make_uint4(0, 0, 0, 0);
    if (voxel >= 0) {
      float v[8], x[8];
      const StoredUnit<T, T> stored = fetchUnit<T, T>(dy, voxel);
      widen(fetchUnit<T, T>(raw, voxel), x);
      widen(stored, v);
      RVX_UNROLL
      for (int j = 0; j < 8; ++j) {
        const float4 k = lds(four + j);
        v[j] = formedGradient({k.x, k.y, k.z, k.w, lds(offsets + j)}, v[j], x[j], p.formedSlope);
      }
      unit = packUnit<T>(v);
    }
    sts(to + plane * t.coarsePitch + slot, unit);
  }
}

// Scale and shift of the block's channels in the tile's sample; zeros for channels that do not exist.
template <class T>
RVX_DEVICE void fillNorms(const GradPass& p, const GradShared& s, int tile) {
  const GradTile& t = p.tile;
  const int sample = tile / (t.axis[0].tiles() * t.axis[1].tiles() * t.axis[2].tiles());
  constexpr int kUnit = kUnitChannels<T>;
  const int all = (t.coarseUnits + t.fineUnits) * kUnit;
  for (int i = static_cast<int>(threadIdx.x); i < all; i += static_cast<int>(blockDim.x)) {
    const bool fine = i >= t.coarseUnits * kUnit;
    int channel = fine ? lds(s.share + kFineTile) * t.fineUnits * kUnit + i - t.coarseUnits * kUnit
                       : lds(s.share + kCoarseTile) * t.coarseUnits * kUnit + i;
    const bool second = fine && channel >= t.firstUnits * kUnit;
    if (second) channel -= t.firstUnits * kUnit;
    const GradImage& image = fine ? p.fine[second ? 1 : 0] : p.coarse;
    float2 norm = make_float2(0, 0);
    if (image.scale && channel < image.source.channels) {
      const int64_t at = int64_t{sample} * image.source.channels + channel;
      norm = make_float2(ld(image.scale + at), ld(image.shift + at));
    }
    sts(s.norms + i, norm);
  }
}

// Stages both tensors' parts of a tile. All threads together, with a barrier before and after. Formed: coarse is.
template <class T, bool Formed = false>
RVX_DEVICE void stageTile(const GradPass& p, const GradShared& s, int tile) {
  const GradTile& t = p.tile;
  const auto origin = [&](bool fine) {
    GradRegion r;
    int rest = tile;
    RVX_UNROLL
    for (int a = 2; a >= 0; --a) {
      const GatherAxis& axis = t.axis[a];
      const int tiles = axis.tiles(), j = rest % tiles * axis.tile;
      rest /= tiles;
      r.from[a] =
          fine ? j * axis.step + axis.offset + lds(s.share + kFirstTapD + a) * axis.tapStep : j;
      r.by[a] = fine ? axis.spacing : 1;
      r.size[a] = fine ? axis.inputs : axis.outputs;
    }
    r.base = int64_t{rest} * r.size[0] * r.size[1] * r.size[2];
    return r;
  };
  syncBlock();  // the tile before is read
  if constexpr (Formed) fillFormedTable(p, s, tile);
  if (p.normed) fillNorms<T>(p, s, tile);
  if (Formed || p.normed) syncBlock();
  int plane = static_cast<int>(threadIdx.x) % t.coarseUnits;
  if constexpr (Formed)
    fillFormedPlanes<T>(p, lds(s.share + kCoarseTile) * t.coarseUnits + plane, plane, origin(false),
                        s.coarseTable, s.coarse);
  else
    fillPlanes<T>(p.coarse, lds(s.share + kCoarseTile) * t.coarseUnits + plane, t.coarseUnits,
                  plane, origin(false), s.norms, p.slope, s.coarseTable, s.coarse, t.coarsePitch,
                  t.coarseSlots);
  plane = static_cast<int>(threadIdx.x) % t.fineUnits;
  const int unit = lds(s.share + kFineTile) * t.fineUnits + plane;
  const bool second = unit >= t.firstUnits;
  fillPlanes<T>(second ? p.fine[1] : p.fine[0], second ? unit - t.firstUnits : unit, t.fineUnits,
                plane, origin(true), s.norms + t.coarseUnits * kUnitChannels<T>, p.slope,
                s.fineTable, s.fine, t.fineSlots, t.fineSlots);
  cpAsyncCommit();
  cpAsyncWait<0>();
  syncBlock();
}

// A quad: its first step, and the slot of its first voxel in the lattice.
struct GradQuad {
  int step, slot;
};
RVX_DEVICE GradQuad quadOf(const GradTile& t, int quad) {
  const int perColumn = t.axis[1].tile / kQuadRows;
  const int column = quad / perColumn, h = quad - column * perColumn;
  const int d = column / t.patchesW, w = column - d * t.patchesW;
  return {column * t.axis[1].tile + h * kQuadRows, d * t.patchD * t.axis[0].lstep * t.slice +
                                                       h * kQuadRows * t.axis[1].lstep * t.pitch +
                                                       w * t.patchW};
}
// The slot of voxel r of a step, from the step's first.
RVX_DEVICE int slotInStep(const GradTile& t, int r) {
  return r / t.patchW * t.axis[0].lstep * t.slice + r % t.patchW;
}

}  // namespace rvx::cuda
