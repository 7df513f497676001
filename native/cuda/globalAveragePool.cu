// globalAveragePool: y [N, C], the means of channelSums.h; and its gradient, dy / voxels written over space by threads that keep to their
// channels (channelWalk.h). Least bytes: x read once; dx written once. FLOPs: 4 a value, since M2 is made too; the gradient's divisions are a
// few a thread.
//
// Limits: f32; up to 65535 x 256 channels (channelWalk.h, checked).
#include "cuda/channelSums.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kRounds = 8;

struct FinishMean {
  float* y;
  RVX_DEVICE void operator()(int64_t at, int c, const Moments<double>& all) const {
    (void)c;
    st(y + at, static_cast<float>(all.mean));
  }
};

template <int N>
RVX_KERNEL(kWalkThreads)
spread(const float* dy, ChannelWalk w, float* dx) {
  const WalkPlace<N> place(w);
  Packet<float, N> share;
  RVX_UNROLL
  for (int i = 0; i < N; ++i)
    share.value[i] = ld(dy + place.channelOfGroup(i)) / static_cast<float>(w.voxels);
  for (int64_t at = place.at; at < place.end; at += w.stride) storePacket(dx, at, place.end, share);
}

}  // namespace

template <>
void run(const GlobalAveragePool& op, Context& cx) {
  channelMoments(cx, "globalAveragePool", op.x, op.x.shape()[0], FinishMean{op.y.data()});
}

template <>
void run(const GlobalAveragePoolGrad& op, Context& cx) {
  const Shape& shape = op.dx.shape;
  if (shape.size() == 0) return;
  const ChannelWalk w(shape, shape[0], 1, kRounds);
  launch(cx, "globalAveragePoolGrad", w.blocks(), w.threads(), 0,
         w.packet == 4 ? &spread<4> : &spread<1>, op.dy.data(), w, op.dx.data());
}

}  // namespace rvx::cuda
