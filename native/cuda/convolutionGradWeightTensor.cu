// Weight gradients on tensor cores (m16n8k16 of bf16 or fp16, sums in f32): convolutionGradWeight.h's sum, cut as
// convolutionGradWeightPlan.h says.
//
// FLOPs 2 * voxels of coarse * taps * coarse channels * fine channels; least bytes: one read of both tensors. A tile of channels (16 or
// 32 of coarse, 16 of fine) reads its voxels again, mostly from the second-level cache. Where coarse is formed on load: one read more, of
// the raw output, and 8 FLOPs for each value that is staged.
//
// A matrix product of coarse^T [channels x voxels] by fine [voxels x channels], one per tap, which shifts fine. Shared memory holds a
// voxel's channels side by side, so both operands come by transposing ldmatrix. A warp makes 16 coarse by 8 or 16 fine channels of up to
// nine taps, 72 sums a lane. Of three taps along H the rows of fine are loaded once: six loads for 24 products.
//
// Limits: compute capability 8.0 for bf16 (tensorCores.h). Channels are padded to 16 or 32 of coarse, 8 or 16 of fine. A box has up to 27 taps:
// larger kernels read both tensors again for each. Coarse is formed where it is stored in the products' type (formsOnLoad).
#include "cuda/convolutionGradWeightKernels.h"
#include "cuda/convolutionGradWeightTile.h"

namespace rvx::cuda {
namespace {

constexpr int kMostThreads = 192;

// Columns: units of fine channels, one or two. With one an ldmatrix brings two rows. Formed: coarse is formed on load.
template <class T, bool Shared, int Columns, bool Formed>
RVX_DEVICE void addRun(const GradPass& p, unsigned tableBytes) {
  const GradTile& t = p.tile;
  const GradShared s = sharedOf(t, tableBytes);
  fillTables(t, s);
  syncBlock();

  const int lane = static_cast<int>(threadIdx.x) % 32;
  int warp = static_cast<int>(threadIdx.x) / 32;
  const int tapWarp = warp % t.tapWarps;
  warp /= t.tapWarps;
  const int group = warp % t.coarseGroups, voxels = warp / t.coarseGroups;
  const int matrix = lane / 8, row8 = lane % 8;
  const uint4* coarse =
      s.coarse + (2 * group + (matrix & 1)) * t.coarsePitch + (matrix >> 1) * 8 + row8;
  const int rowSlots = t.axis[1].lstep * t.pitch;
  const uint4* fine = s.fine + slotInStep(t, (matrix & 1) * 8 + row8) +
                      (matrix >> 1) * (Columns == 2 ? t.fineSlots : rowSlots);
  const int2* taps = s.taps + tapWarp * t.tapsPerWarp;

  constexpr int kLoads = Columns == 2 ? 1 : 2;  // rows of one
  float sum[kWarpTaps][Columns][4];
  RVX_UNROLL
  for (int k = 0; k < kWarpTaps; ++k) RVX_UNROLL
  for (int c = 0; c < Columns; ++c)
    sum[k][c][0] = sum[k][c][1] = sum[k][c][2] = sum[k][c][3] = 0.0f;

  const int end = runBegin(t, blockIdx.y + 1);
  for (int tile = runBegin(t, blockIdx.y); tile < end; ++tile) {
    stageTile<T, Formed>(p, s, tile);
    for (int q = voxels; q < t.quads; q += t.voxelGroups) {
      const GradQuad quad = quadOf(t, q);
      uint32_t a[kQuadRows][4];
      RVX_UNROLL
      for (int row = 0; row < kQuadRows; ++row)
        ldmatrixX4Trans(a[row], coarse + (quad.step + row) * 16);
      constexpr int kRowTaps = Shared ? 3 : 1, kRows = kQuadRows + kRowTaps - 1;
      RVX_UNROLL
      for (int k = 0; k < kWarpTaps; k += kRowTaps) {
        if (k >= t.tapsPerWarp) break;
        const uint4* from = fine + quad.slot + lds(&taps[k].x);
        RVX_UNROLL
        for (int row = 0; row < kRows; row += kLoads) {
          uint32_t r[4];
          ldmatrixX4Trans(r, from + row * rowSlots);
          RVX_UNROLL
          for (int load = 0; load < kLoads; ++load) {
            RVX_UNROLL
            for (int tap = 0; tap < kRowTaps; ++tap) {
              const int coarseRow = row + load - tap;
              if (coarseRow < 0 || coarseRow >= kQuadRows) continue;
              RVX_UNROLL
              for (int c = 0; c < Columns; ++c) {
                const uint32_t b[2] = {r[2 * (load + c)], r[2 * (load + c) + 1]};
                mma16816<T>(sum[k + tap][c], a[coarseRow], b);
              }
            }
          }
        }
      }
    }
  }

  const int co = lds(s.share + kCoarseTile) * t.coarseUnits * 8 + group * 16 + lane / 4;
  const int ci = lds(s.share + kFineTile) * t.fineUnits * 8 + lane % 4 * 2;
  float* partial = p.partials + (int64_t{blockIdx.y} * t.voxelGroups + voxels) * t.partialSize();
  const int64_t pitch = t.finePadded();
  RVX_UNROLL
  for (int k = 0; k < kWarpTaps; ++k) {
    const int tap = k < t.tapsPerWarp ? lds(&taps[k].y) : -1;
    if (tap < 0) continue;
    float* to = partial + (int64_t{tap} * t.coarsePadded() + co) * pitch + ci;
    RVX_UNROLL
    for (int c = 0; c < Columns; ++c) {
      st(reinterpret_cast<float2*>(to + 8 * c), make_float2(sum[k][c][0], sum[k][c][1]));
      st(reinterpret_cast<float2*>(to + 8 * pitch + 8 * c),
         make_float2(sum[k][c][2], sum[k][c][3]));
    }
  }
}

template <class T, bool Shared, int Columns>
RVX_KERNEL_BLOCKS(kMostThreads, 2)
gradWeight(GradPass p, unsigned tableBytes) {
  addRun<T, Shared, Columns, false>(p, tableBytes);
}
template <class T, bool Shared, int Columns>
RVX_KERNEL_BLOCKS(kMostThreads, 2)
gradWeightOfFormed(GradPass p, unsigned tableBytes) {
  addRun<T, Shared, Columns, true>(p, tableBytes);
}

template <class T>
GradKernel formedKernelOf(const GradTile& t) {
  if (t.fineUnits == 2)
    return t.rowsShared ? &gradWeightOfFormed<T, true, 2> : &gradWeightOfFormed<T, false, 2>;
  return t.rowsShared ? &gradWeightOfFormed<T, true, 1> : &gradWeightOfFormed<T, false, 1>;
}
template <class T>
GradKernel kernelOf(const GradTile& t) {
  if (t.fineUnits == 2) return t.rowsShared ? &gradWeight<T, true, 2> : &gradWeight<T, false, 2>;
  return t.rowsShared ? &gradWeight<T, true, 1> : &gradWeight<T, false, 1>;
}

}  // namespace

GradKernel gradWeightTensor(const GradTile& t, DType operand) {
  return operand == DType::bf16 ? kernelOf<Bf16>(t) : kernelOf<F16>(t);
}

GradKernel gradWeightFormed(const GradTile& t, DType operand) {
  return operand == DType::bf16 ? formedKernelOf<Bf16>(t) : formedKernelOf<F16>(t);
}

}  // namespace rvx::cuda
