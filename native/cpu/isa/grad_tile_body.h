// The tile of grad_tile.h as a template.
#pragma once
#include "cpu/isa/grad_tile.h"
#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {

template <int P, int NV, int R, int B>
void gradTile(const GradTile& job) {
  Vec sum[R][B][NV] = {};
  for (int64_t r = 0; r < job.rows; ++r) {
    const float* x = job.fine + r * job.fineRow;
    const float* dy = job.coarse + r * job.coarseRow;
    for (int64_t v = 0; v < job.width; ++v) {
      Vec gradient[NV];
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) gradient[n] = load(dy + n * kLanes);
#pragma GCC unroll 3
      for (int q = 0; q < R; ++q)
#pragma GCC unroll 32
        for (int b = 0; b < B; ++b) {
          const Vec value = broadcast<P>(x + q * job.fineTap + b * P);
#pragma GCC unroll 2
          for (int n = 0; n < NV; ++n) sum[q][b][n] = fma(value, gradient[n], sum[q][b][n]);
        }
      x += job.fineVoxel;
      dy += job.coarseVoxel;
    }
  }
#pragma GCC unroll 3
  for (int q = 0; q < R; ++q)
#pragma GCC unroll 32
    for (int b = 0; b < B; ++b)
#pragma GCC unroll 2
      for (int n = 0; n < NV; ++n) {
        float* to = job.sum + q * job.sumTap + (b * NV + n) * kLanes;
        store(to, load(to) + sum[q][b][n]);
      }
}

template <int P, int NV, int R, int... B>
GradFunction pickGrad(int size) {
  GradFunction found = nullptr;
  ((size == B ? void(found = &gradTile<P, NV, R, B>) : void()), ...);
  return found;
}

#if RVX_ISA_LANES == 16
#define RVX_GRAD_1 24, 16, 12, 8, 6, 4, 3, 2, 1
#define RVX_GRAD_2 12, 8, 6, 4, 3, 2, 1
#define RVX_GRAD_ROWS 8, 6, 4, 3, 2, 1
#else
#define RVX_GRAD_1 12, 8, 6, 4, 3, 2, 1
#define RVX_GRAD_2 6, 4, 3, 2, 1
#define RVX_GRAD_ROWS 4, 3, 2, 1
#endif

template <int P>
GradFunction pickGradOf(GradKind k) {
  if (k.R == 3) return k.NV == 1 ? pickGrad<P, 1, 3, RVX_GRAD_ROWS>(k.B) : nullptr;
  return k.NV == 1 ? pickGrad<P, 1, 1, RVX_GRAD_1>(k.B) : pickGrad<P, 2, 1, RVX_GRAD_2>(k.B);
}

}  // namespace rvx::RVX_ISA
