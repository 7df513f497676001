// Weight gradients by FFMA, exact to f32: convolutionGradWeight.h's sum, cut as convolutionGradWeightPlan.h says.
//
// FLOPs 2 * voxels of coarse * taps * coarse channels * fine channels; least bytes: one read of both tensors. Boxes of at most nine taps
// and tiles of 16 x 16 channels read their voxels again, mostly from the second-level cache.
//
// A warp makes one tap: eight lanes side by side take eight voxels, the four eights 8 x 8 of the 16 x 16 channels each, with 64 sums in
// registers; four shared loads of 16 bytes for 64 FFMA. At the end the eight lanes' sums are added in a tree. Up to four fine
// channels have a tile of their own, 16 x 4, with the voxels on 16 lanes.
//
// Limits: products of f32 alone, none formed on load. Channels are padded to 16, up to four fine ones to 4: padding is multiplied too. Kernels
// of more than nine taps read both tensors again for each box. A sum runs over up to 16384 voxels in f32.
#include "cuda/convolutionGradWeightKernels.h"
#include "cuda/convolutionGradWeightTile.h"

namespace rvx::cuda {
namespace {

constexpr int kMostThreads = 288;

// A step of the eight lanes' sum that halves the rows which a lane keeps: after 4, 2 and 1 lane k has row k of all as its row 0.
template <int By, int Fine>
RVX_DEVICE void halve(float (&sum)[8][Fine], int lane) {
  const bool keepsUpper = (lane & By) != 0;
  RVX_UNROLL
  for (int k = 0; k < By; ++k) {
    RVX_UNROLL
    for (int j = 0; j < Fine; ++j) {
      const float sent = keepsUpper ? sum[k][j] : sum[k + By][j];
      sum[k][j] = (keepsUpper ? sum[k + By][j] : sum[k][j]) + shuffleXor(sent, By);
    }
  }
}

template <int Quads>
RVX_KERNEL(kMostThreads)
gradWeight(GradPass p, unsigned tableBytes) {
  constexpr int kFine = 4 * Quads;
  const GradTile& t = p.tile;
  const GradShared s = sharedOf(t, tableBytes);
  fillTables(t, s);
  syncBlock();

  const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
  const int tapWarp = warp % t.tapWarps, voxels = warp / t.tapWarps;
  const int half = lane / 8 % 2, upper = lane / 16;
  // With two quads the upper lanes take the other fine channels, else the other voxels.
  constexpr int kPasses = Quads;
  const int r = lane % 8 + (Quads == 1 ? 8 * upper : 0);
  const uint4* coarse = s.coarse + 2 * half * t.coarsePitch + r;
  const uint4* fine = s.fine + (Quads == 2 ? 2 * upper * t.fineSlots : 0);
  int slot[kPasses];
  RVX_UNROLL
  for (int i = 0; i < kPasses; ++i) slot[i] = slotInStep(t, r + 8 * i);
  const int rowSlots = t.axis[1].lstep * t.pitch;

  float sum[8][kFine];
  RVX_UNROLL
  for (int i = 0; i < 8; ++i) RVX_UNROLL
  for (int j = 0; j < kFine; ++j) sum[i][j] = 0;

  const int end = runBegin(t, blockIdx.y + 1);
  for (int tile = runBegin(t, blockIdx.y); tile < end; ++tile) {
    stageTile<float>(p, s, tile);
    const int shift = lds(&s.taps[tapWarp].x);
    for (int q = voxels; q < t.quads; q += t.voxelGroups) {
      const GradQuad quad = quadOf(t, q);
      for (int row = 0; row < kQuadRows; ++row) {
        RVX_UNROLL
        for (int i = 0; i < kPasses; ++i) {
          const uint4* from = coarse + (quad.step + row) * 16 + 8 * i;
          const auto load = [](const uint4* unit) {
            return lds(reinterpret_cast<const float4*>(unit));
          };
          const float4 low = load(from), high = load(from + t.coarsePitch);
          const float a[8] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w};
          float b[kFine];
          RVX_UNROLL
          for (int c = 0; c < Quads; ++c) {
            const float4 v =
                load(fine + c * t.fineSlots + quad.slot + row * rowSlots + shift + slot[i]);
            b[4 * c] = v.x, b[4 * c + 1] = v.y, b[4 * c + 2] = v.z, b[4 * c + 3] = v.w;
          }
          RVX_UNROLL
          for (int k = 0; k < 8; ++k) {
            RVX_UNROLL
            for (int j = 0; j < kFine; ++j) sum[k][j] = fma(a[k], b[j], sum[k][j]);
          }
        }
      }
    }
  }

  halve<4>(sum, lane);
  halve<2>(sum, lane);
  halve<1>(sum, lane);
  if (Quads == 1) {
    RVX_UNROLL
    for (int j = 0; j < kFine; ++j) sum[0][j] += shuffleXor(sum[0][j], 16);
  }
  const int tap = lds(&s.taps[tapWarp].y);
  if (tap < 0 || (Quads == 1 && upper)) return;
  const int co = lds(s.share + kCoarseTile) * 16 + 8 * half + lane % 8;
  const int ci = lds(s.share + kFineTile) * t.fineUnits * 4 + (Quads == 2 ? 8 * upper : 0);
  float* to = p.partials + (int64_t{blockIdx.y} * t.voxelGroups + voxels) * t.partialSize() +
              (int64_t{tap} * t.coarsePadded() + co) * t.finePadded() + ci;
  RVX_UNROLL
  for (int c = 0; c < Quads; ++c)
    st(reinterpret_cast<float4*>(to) + c,
       make_float4(sum[0][4 * c], sum[0][4 * c + 1], sum[0][4 * c + 2], sum[0][4 * c + 3]));
}

}  // namespace

GradKernel gradWeightExact(const GradTile& t) {
  return t.fineUnits == 1 ? &gradWeight<1> : &gradWeight<2>;
}

}  // namespace rvx::cuda
