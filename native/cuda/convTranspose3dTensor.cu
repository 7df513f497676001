// convTranspose3d on tensor cores (m16n8k16 of bf16 or fp16, sums in f32): y[n,2i+k,co] = bias[co] + sum over ci of w[ci,co,k] *
// X[n,i,ci], X = leaky(x * scale + shift) where there is a scale.
//
// A matrix product of the voxels of x by 8 * Cout columns, whose rows are spread over eight voxels of y when they are stored. FLOPs
// 2 * 8 * N * voxels of x * Cin * Cout; least bytes: one read of x and w, one write of y, which is 8 * Cout / Cin times as large as
// x: memory bounds up to about 200 channels.
//
// A block stages 64 voxels of one sample with all their channels (up to 320 at a time) in shared memory as planes of 8 channels,
// normalised and rounded, so x is read once where there are enough voxels to fill the chip, and makes one tile of 64 columns after
// the other; small volumes share the tiles among blocks. Weights lie packed as the lanes take them, 16 bytes each, and come from the
// caches without shared memory. Columns are counted as (kd, kh, kw, co), co padded to 8, so that neighbouring rows and both kw
// together write neighbouring bytes.
//
// Limits: fewer than 2^28 - 64 voxels of a sample of x (checked); compute capability 8.0 for bf16 (tensorCores.h). With more than 320
// channels x is staged again for each tile of 64 columns. Packed weights stay beside their buffer and are made again where it was written.
#include "cuda/convTranspose3dTensor.h"
#include "cuda/convolutionTensorStore.h"
#include "cuda/operandUnit.h"
#include "cuda/sources.h"
#include "cuda/tensorCores.h"
#include "math/activation.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 64, kGroups = 8;  // voxels and groups of 8 columns of a block's tile
constexpr int kPitch =
    kRows + 2;  // of a plane: stores of four planes and two rows meet no bank twice
constexpr int kStageChunks = 10;  // of 32 channels in shared memory
constexpr int64_t kFill = 528;    // blocks that fill a large chip

struct Pass {
  UnitSource source;
  DType stored;
  bool copied;
  const float *scale, *shift;
  float slope;
  const uint4* weight;  // [column group][chunk][lane]
  const float* bias;
  void* y;
  DType type;
  int sizeD, sizeH, sizeW, voxels, tiles;  // of a sample of x
  int cout, coutUnits;
  int columnTiles, tilesPerBlock;
  int chunks;
};

template <class T>
RVX_KERNEL(kThreads)
packTransposed(const float* weight, uint4* out, int cin, int cout, int coutUnits, int chunks,
               int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const auto lane = static_cast<int>(i % 32);
  const int64_t rest = i / 32;
  const auto chunk = static_cast<int>(rest % chunks), group = static_cast<int>(rest / chunks);
  const int part = group / coutUnits, co = group % coutUnits * 8 + lane / 4;
  float v[8];
  RVX_UNROLL
  for (int j = 0; j < 8; ++j) {
    const int ci = chunk * 32 + j / 2 * 8 + lane % 4 * 2 + j % 2;
    const bool real = part < 8 && co < cout && ci < cin;
    v[j] = real ? ld(weight + (int64_t{ci} * cout + co) * 8 + part) : 0.0f;
  }
  st(out + i, packUnit<T>(v));
}

// Stages chunks [first, first + count) of the tile's voxels; what is outside the sample or the channels becomes zero. Four threads
// side by side take the planes of a chunk of one voxel, whose bytes lie side by side in memory.
template <class S, class T>
RVX_DEVICE void stagePlanes(const Pass& p, int sample, int tile, int first, int count, uint4* to) {
  constexpr int kStep = kThreads / 4, kEach = kRows / kStep;
  const int plane = static_cast<int>(threadIdx.x) % 4, row = static_cast<int>(threadIdx.x) / 4;
  UnitSource u = p.source;
  for (int chunk = 0; chunk < count; ++chunk) {
    u.first = ((first + chunk) * 4 + plane) * 8;
    const int left = u.channels - u.first;
    u.count = left < 0 ? 0 : left < 8 ? left : 8;
    StoredUnit<S, T> raw[kEach];
    bool inside[kEach];
    RVX_UNROLL
    for (int b = 0; b < kEach; ++b) {
      const int voxel = tile * kRows + row + b * kStep;
      inside[b] = voxel < p.voxels && u.count > 0;
      if (inside[b]) raw[b] = fetchUnit<S, T>(u, int64_t{sample} * p.voxels + voxel);
    }
    const int64_t from = int64_t{sample} * u.channels + u.first;
    RVX_UNROLL
    for (int b = 0; b < kEach; ++b) {
      uint4 unit = make_uint4(0, 0, 0, 0);
      if (inside[b]) {
        float v[8];
        widen(raw[b], v);
        if (p.scale) {
          RVX_UNROLL
          for (int j = 0; j < 8; ++j)
            if (j < u.count)
              v[j] = leakyRelu(v[j] * ld(p.scale + from + j) + ld(p.shift + from + j), p.slope);
        }
        unit = packUnit<T>(v);
      }
      sts(to + (4 * chunk + plane) * kPitch + row + b * kStep, unit);
    }
  }
}
template <class T>
RVX_DEVICE void stage(const Pass& p, int sample, int tile, int first, int count, uint4* to) {
  if (p.copied) {
    const int plane = static_cast<int>(threadIdx.x) % 4;
    const auto* x = static_cast<const T*>(p.source.x);
    for (int row = static_cast<int>(threadIdx.x) / 4; row < kRows; row += kThreads / 4) {
      const int voxel = tile * kRows + row;
      const int64_t at = (int64_t{sample} * p.voxels + voxel) * p.source.channels;
      for (int chunk = 0; chunk < count; ++chunk) {
        const int channel = ((first + chunk) * 4 + plane) * 8;
        const bool valid = voxel < p.voxels && channel < p.source.channels;
        cpAsync16(to + (4 * chunk + plane) * kPitch + row, x + (valid ? at + channel : 0), valid);
      }
    }
    cpAsyncCommit();
    cpAsyncWait<0>();
  } else if (p.stored == DType::f32) {
    stagePlanes<float, T>(p, sample, tile, first, count, to);
  } else if (p.stored == DType::bf16) {
    stagePlanes<Bf16, T>(p, sample, tile, first, count, to);
  } else {
    stagePlanes<F16, T>(p, sample, tile, first, count, to);
  }
}

// A warp's 32 rows by 4 column groups: sums of fragments [16 rows][8 columns].
using Sums = float[2][4][4];

// Bias, rounding, and each row to the voxel 2i + k of its column's k. All lanes together.
RVX_DEVICE void spread(const Pass& p, int sample, int firstRow, int firstGroup, Sums& sum) {
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int to[2][2];
  bool valid[2][2];
  const int64_t base = int64_t{sample} * p.voxels * 8;
  RVX_UNROLL
  for (int m = 0; m < 2; ++m) {
    RVX_UNROLL
    for (int i = 0; i < 2; ++i) {
      const int voxel = firstRow + m * 16 + i * 8 + lane / 4;
      const int row = voxel / p.sizeW, d = row / p.sizeH;
      const int w = voxel - row * p.sizeW, h = row - d * p.sizeH;
      valid[m][i] = voxel < p.voxels;
      to[m][i] = (d * 4 * p.sizeH + 2 * h) * 2 * p.sizeW + 2 * w;
    }
  }
  const auto shiftOf = [&](int group) {
    const int part = group / p.coutUnits;
    return ((part >> 2) * 2 * p.sizeH + (part >> 1 & 1)) * 2 * p.sizeW + (part & 1);
  };
  const bool wide = p.type != DType::f32 && p.cout % 8 == 0;
  RVX_UNROLL
  for (int c = 0; c < 4; ++c) {
    const int co = (firstGroup + c) % p.coutUnits * 8 + lane % 4 * 2;
    if (p.bias) {
      const float low = co < p.cout ? ld(p.bias + co) : 0.0f;
      const float high = co + 1 < p.cout ? ld(p.bias + co + 1) : 0.0f;
      RVX_UNROLL
      for (int m = 0; m < 2; ++m) {
        sum[m][c][0] += low, sum[m][c][1] += high;
        sum[m][c][2] += low, sum[m][c][3] += high;
      }
    }
    if (wide || firstGroup + c >= 8 * p.coutUnits) continue;
    const int shift = shiftOf(firstGroup + c);
    RVX_UNROLL
    for (int m = 0; m < 2; ++m) {
      RVX_UNROLL
      for (int i = 0; i < 2; ++i) {
        if (!valid[m][i] || co >= p.cout) continue;
        const int64_t at = (base + to[m][i] + shift) * p.cout + co;
        const float low = sum[m][c][2 * i], high = sum[m][c][2 * i + 1];
        if (p.type == DType::f32 && p.cout % 2 == 0) {
          st(reinterpret_cast<float2*>(static_cast<float*>(p.y) + at), make_float2(low, high));
          continue;
        }
        storeOne(p.type, p.y, at, low);
        if (co + 1 < p.cout) storeOne(p.type, p.y, at + 1, high);
      }
    }
  }
  if (!wide) return;
  // A lane of each four takes 8 channels of one row: of the group and the row of its own number's bits.
  RVX_UNROLL
  for (int c = 0; c < 4; c += 2) {
    const int group = firstGroup + c + (lane & 1);
    const int shift = shiftOf(group);
    RVX_UNROLL
    for (int m = 0; m < 2; ++m) {
      uint32_t v[4];
      RVX_UNROLL
      for (int i = 0; i < 4; ++i)
        v[i] = packAs(p.type, sum[m][c + (i & 1)][(i >> 1) * 2],
                      sum[m][c + (i & 1)][(i >> 1) * 2 + 1]);
      transposeQuad(v);
      const bool upper = (lane & 2) != 0;
      const int64_t voxel = base + (upper ? to[m][1] : to[m][0]) + shift;
      if (group < 8 * p.coutUnits && (upper ? valid[m][1] : valid[m][0]))
        st(reinterpret_cast<uint4*>(static_cast<uint16_t*>(p.y) + voxel * p.cout +
                                    group % p.coutUnits * 8),
           make_uint4(v[0], v[1], v[2], v[3]));
    }
  }
}

template <class T>
RVX_KERNEL_BLOCKS(kThreads, 3)
multiplyTransposed(Pass p) {
  auto* planes = sharedMemory<uint4>();
  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const auto sample = static_cast<int>(blockIdx.x) / p.tiles;
  const int tile = static_cast<int>(blockIdx.x) - sample * p.tiles;
  const int rows = warp / 2 * 32;
  const int firstTile = static_cast<int>(blockIdx.y) * p.tilesPerBlock;
  const int endTile =
      firstTile + p.tilesPerBlock < p.columnTiles ? firstTile + p.tilesPerBlock : p.columnTiles;
  const bool once = p.chunks <= kStageChunks;
  const uint4* a = planes + (lane >> 4) * kPitch + rows + (lane & 15);

  for (int columns = firstTile; columns < endTile; ++columns) {
    const int firstGroup = columns * kGroups + warp % 2 * 4;
    const uint4* weight = p.weight + int64_t{firstGroup} * p.chunks * 32 + lane;
    const auto fetch = [&](int chunk, uint4(&b)[4]) {
      RVX_UNROLL
      for (int c = 0; c < 4; ++c) b[c] = ld(weight + (c * p.chunks + chunk) * 32);
    };
    Sums sum;
    RVX_UNROLL
    for (int m = 0; m < 2; ++m) RVX_UNROLL
    for (int c = 0; c < 4; ++c) sum[m][c][0] = sum[m][c][1] = sum[m][c][2] = sum[m][c][3] = 0.0f;
    uint4 next[4];
    for (int chunk = 0; chunk < p.chunks; ++chunk) {
      const int inStage = chunk % kStageChunks;
      if (inStage == 0 && (!once || columns == firstTile)) {
        const int left = p.chunks - chunk;
        syncBlock();  // the stage before is read
        stage<T>(p, sample, tile, chunk, left < kStageChunks ? left : kStageChunks, planes);
        syncBlock();
      }
      if (inStage == 0) fetch(chunk, next);
      uint4 b[4];
      RVX_UNROLL
      for (int c = 0; c < 4; ++c) b[c] = next[c];
      if (inStage + 1 < kStageChunks && chunk + 1 < p.chunks) fetch(chunk + 1, next);
      RVX_UNROLL
      for (int half = 0; half < 2; ++half) {
        RVX_UNROLL
        for (int m = 0; m < 2; ++m) {
          uint32_t r[4];
          ldmatrixX4(r, a + (4 * inStage + 2 * half) * kPitch + 16 * m);
          RVX_UNROLL
          for (int c = 0; c < 4; ++c) {
            const uint32_t pair[2] = {half ? b[c].z : b[c].x, half ? b[c].w : b[c].y};
            mma16816<T>(sum[m][c], r, pair);
          }
        }
      }
    }
    spread(p, sample, tile * kRows + rows, firstGroup, sum);
  }
}

}  // namespace

TransposedWeights packedTransposed(const Input& weight, DType operand, Context& cx) {
  const int64_t cin = weight.shape()[0], cout = weight.shape()[1];
  const bool bf16 = operand == DType::bf16;
  TransposedWeights w;
  w.coutUnits = static_cast<int>((cout + 7) / 8);
  w.chunks = std::max(1, static_cast<int>((cin + 31) / 32));
  const int64_t units = int64_t{w.coutUnits} * kGroups * w.chunks * 32;
  Buffer& buffer = *weight.tensor.buffer;
  Companion& packed = buffer.companion({2, bf16, cin, cout}, static_cast<size_t>(units) * 16);
  if (packed.made != buffer.written) {
    launch(cx, "convTranspose3d/pack", blocksFor(units, kThreads), kThreads, 0,
           bf16 ? &packTransposed<Bf16> : &packTransposed<F16>, weight.data(),
           static_cast<uint4*>(packed.data), static_cast<int>(cin), static_cast<int>(cout),
           w.coutUnits, w.chunks, units);
    packed.made = buffer.written;
  }
  w.data = packed.data;
  return w;
}

void convTranspose3dTensor(const ConvTranspose3d& op, Context& cx) {
  const DType operand = op.type.operand();
  requireTensorCores(cx, operand);
  const Shape &s = op.x.shape(), &out = op.y.shape;
  if (op.y.shape.size() == 0) return;
  require(s[1] * s[2] * s[3] < INT32_MAX / 8 - kRows, "ShapeMismatch",
          "A sample of " + std::to_string(s[1] * s[2] * s[3]) + " voxels is too large for the GPU");
  Pass p{};
  const bool bf16 = operand == DType::bf16;
  p.source.x = op.x.data<void>();
  p.source.channels = static_cast<int>(s[4]);
  p.source.aligned = s[4] % 8 == 0;
  p.stored = op.x.dtype();
  p.copied = p.source.aligned && !op.scale && p.stored == operand;
  p.scale = op.scale.data(), p.shift = op.shift.data();
  p.slope = static_cast<float>(op.slope);
  p.bias = op.bias.data();
  p.y = op.y.data<void>(), p.type = op.y.dtype;
  p.sizeD = static_cast<int>(s[1]), p.sizeH = static_cast<int>(s[2]);
  p.sizeW = static_cast<int>(s[3]);
  p.voxels = p.sizeD * p.sizeH * p.sizeW;
  p.tiles = (p.voxels + kRows - 1) / kRows;
  const TransposedWeights weights = packedTransposed(op.weight, operand, cx);
  p.cout = static_cast<int>(out[4]), p.coutUnits = weights.coutUnits;
  p.columnTiles = p.coutUnits;  // of 8 groups, as there are 8 parts
  p.chunks = weights.chunks;
  p.weight = static_cast<const uint4*>(weights.data);

  const unsigned rowBlocks = blocksFor(s[0] * p.tiles, 1);
  const auto shares = static_cast<int>(
      std::min<int64_t>(p.columnTiles, (kFill + rowBlocks - 1) / int64_t{rowBlocks}));
  p.tilesPerBlock = (p.columnTiles + shares - 1) / shares;
  const Dim3 grid{
      rowBlocks, static_cast<unsigned>((p.columnTiles + p.tilesPerBlock - 1) / p.tilesPerBlock), 1};
  const size_t shared = static_cast<size_t>(std::min(p.chunks, kStageChunks)) * 4 * kPitch * 16;
  launch(cx, "convTranspose3d", grid, kThreads, shared,
         bf16 ? &multiplyTransposed<Bf16> : &multiplyTransposed<F16>, p);
}

}  // namespace rvx::cuda
