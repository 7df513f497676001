// distanceTransform: D2(d,h,w) = min over sites of sw^2 (w-w')^2 + sh^2 (h-h')^2 + sd^2 (d-d')^2, exact, by three separable passes
// (distanceLines.h; Maurer, Qi, Raghavan 2003). About 30 operations in double a voxel for each of the passes along h and d.
//
// Bytes a voxel: mask 1 read, 1/8 written and read as bits; 2 written and read after w, 4 after h; 4 or 8 written: 17 with f32, and
// the stacks of the envelopes, up to 2 written and read in two passes. Workspace: 6 bytes a voxel; the stack along h stands in the
// output, which is written last, the one along d in place of the distances along w.
//
// Limits: a pass along h or d has as many threads as lines: at 128^3 latency, not bandwidth, sets its time. Consumer GPUs are slow
// in double. Fewer than 2^31 voxels (ops/labels.h); from 65535 voxels along an axis on twice the bytes.
#include <cmath>

#include "cuda/distanceLines.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

struct IsSite {
  bool foreground;
  template <class T>
  RVX_DEVICE bool operator()(T v) const {
    return (v != 0) == foreground;
  }
};

template <class C, class Out>
RVX_KERNEL_BLOCKS(kLineThreads, kLineBlocks)
distancesAlongD(const InPlane<C>* planes, LineGrid grid, bool squared, C* stack, Out* out) {
  const int64_t line = int64_t{blockIdx.x} * kLineThreads + threadIdx.x;
  const int stride = grid.height * grid.width;
  if (line >= stride) return;
  LineEnvelope<C, FromPlane<C>> envelope(planes + line, stack + line, stride, {grid.w2, grid.h2},
                                         grid.d2);
  out += line;
  if (!envelope.build(grid.depth)) {
    for (int d = 0; d < grid.depth; ++d) st(out + d * stride, static_cast<Out>(kInfinity));
    return;
  }
  using Entry = typename LineEnvelope<C, FromPlane<C>>::Entry;
  envelope.walk(
      grid.depth, [](int) { return true; },
      [&](int d, double square, const Entry&) {
        st(out + d * stride, static_cast<Out>(squared ? square : std::sqrt(square)));
      });
}

template <class C, class Out>
void transform(const DistanceTransform& op, const Int3& size, Context& cx) {
  const auto voxels = static_cast<size_t>(op.mask.shape().size());
  const LineGrid grid(size, op.spacing);
  const BitRows rows(size[0] * size[1], size[2]);
  Workspace bits(cx, static_cast<size_t>(rows.size()) * sizeof(uint32_t));
  Workspace alongW(cx, voxels * sizeof(C)), planes(cx, voxels * sizeof(InPlane<C>));
  Out* out = op.distance.data<Out>();
  static_assert(sizeof(C) <= sizeof(Out), "the output holds the stack along h");
  packMask(cx, "distanceTransform/bits", op.mask, IsSite{op.toForeground}, rows,
           bits.data<uint32_t>());
  distancesInPlanes<C>(cx, bits.data<uint32_t>(), grid, nullptr, alongW.data<C>(),
                       op.distance.data<C>(), planes.data<InPlane<C>>());
  launch(cx, "distanceTransform/d", blocksFor(size[1] * size[2], kLineThreads), kLineThreads, 0,
         &distancesAlongD<C, Out>, planes.data<InPlane<C>>(), grid, op.squared, alongW.data<C>(),
         out);
}

template <class C>
void transform(const DistanceTransform& op, const Int3& size, Context& cx) {
  if (op.distance.dtype == DType::f64)
    transform<C, double>(op, size, cx);
  else
    transform<C, float>(op, size, cx);
}

}  // namespace

template <>
void run(const DistanceTransform& op, Context& cx) {
  const Int3 size = volumeSize(op.mask.shape(), "mask");
  if (op.mask.shape().size() == 0) return;
  if (fitsIn16Bits(size))
    transform<uint16_t>(op, size, cx);
  else
    transform<uint32_t>(op, size, cx);
}

}  // namespace rvx::cuda
