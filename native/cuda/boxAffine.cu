// boxAffine: twelve numbers from one row of a table (math/findings.h), by one thread: no trip to the host. About 40 FLOPs in double; 64
// bytes of the table read, 96 written: the launch is its time.
// Limits: one box a launch, serial in one thread; a row of a table of 8 columns (ops/cascade.h).
#include "cuda/affines.h"
#include "cuda/launch.h"
#include "math/findings.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 32;

struct Wish {
  int64_t size[3];
  double spacing[3], step, margin;
  bool mirror;
};

RVX_KERNEL(kThreads)
boxAffine(const int32_t* box, Wish wish, AffineNumbers base, const double* through,
          double* affine) {
  if (threadIdx.x != 0) return;
  int32_t corners[6];
  for (int i = 0; i < 6; ++i) corners[i] = ld(box + i);
  for (int i = 0; through && i < 12; ++i) base.m[i] = ld(through + i);
  double crop[12], whole[12];
  cropAffine(corners, wish.size, wish.spacing, wish.step, wish.margin, wish.mirror, crop);
  composeAffine(base.m, crop, whole);
  for (int i = 0; i < 12; ++i) st(affine + i, whole[i]);
}

}  // namespace

template <>
void run(const BoxAffine& op, Context& cx) {
  Wish wish{{}, {}, op.step, op.margin, op.mirror};
  for (size_t a = 0; a < 3; ++a) wish.size[a] = op.size[a], wish.spacing[a] = op.spacing[a];
  launch(cx, "boxAffine", 1u, kThreads, 0, &boxAffine, op.table.data<int32_t>() + op.row * 8 + 1,
         wish, AffineNumbers(op.base), op.through.data<double>(), op.affine.data<double>());
}

}  // namespace rvx::cuda
