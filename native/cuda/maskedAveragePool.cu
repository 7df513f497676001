// maskedAveragePool: y [N, K, C], sums of m x by mask and channel in chunks (channelWalk.h), merged in double in a fixed order, over the sums of m;
// and its gradient, the sum over masks of dy m / sum of m. A thread keeps its sums for all masks, its gradients too. Least bytes: x and the
// masks read once (the masks twice, for their own sums); the masks read, dx written once. FLOPs: 2 a value and mask, both ways.
//
// Limits: f32; up to 8 masks (the operation's); up to 65535 x 256 channels (channelWalk.h, checked).
#include "cuda/channelSums.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kMasks = static_cast<int>(MaskedAveragePool::most);
// Packets of a thread that are asked for at once.
constexpr int kRounds = 4;

// Value i of a thread's packet k belongs to voxel first[i] + k step.
template <int N>
struct VoxelWalk {
  int64_t first[N], step;

  RVX_DEVICE VoxelWalk(const ChannelWalk& w, const WalkPlace<N>& place)
      : step(w.stride / w.channels) {
    RVX_UNROLL
    for (int i = 0; i < N; ++i) first[i] = (place.at + i) / w.channels;
  }
};

// Sums by channel of a chunk, parts [count, groups, chunks, C, 2]: of m x for each mask; without masks (count 1) of x.
template <int N>
RVX_KERNEL(kWalkThreads)
chunkSums(const float* x, const float* masks, int count, ChannelWalk w, double* parts) {
  const WalkPlace<N> place(w);
  const VoxelWalk<N> voxel(w, place);
  Packet<float, N> v[kRounds], sum[kMasks] = {};
  int64_t k = 0;
  for (int64_t at = place.at; at < place.end; at += kRounds * w.stride, k += kRounds) {
    loadPackets(x, at, w.stride, place.end, v);
    RVX_UNROLL
    for (int r = 0; r < kRounds; ++r) {
      RVX_UNROLL
      for (int i = 0; i < N; ++i) {
        if (at + r * w.stride + i >= place.end) continue;
        const int64_t row = (voxel.first[i] + (k + r) * voxel.step) * count;
        RVX_UNROLL
        for (int j = 0; j < kMasks; ++j) {
          if (j >= count) break;
          const float m = masks ? ld(masks + row + j) : 1.0f;
          // What a mask leaves out may be anything, even NaN.
          if (m != 0) sum[j].value[i] = fma(m, v[r].value[i], sum[j].value[i]);
        }
      }
    }
  }
  float* sums = sharedMemory<float>();
  const int64_t block = int64_t{gridDim.x} * w.channels;
  RVX_UNROLL
  for (int j = 0; j < kMasks; ++j) {
    if (j >= count) break;
    shareSums(sums, w, sum[j]);
    syncBlock();
    foldRows<1>(sums, 0, w.rows(), place.width);
    RVX_UNROLL
    for (int i = 0; i < N; ++i) {
      const int at = place.column + i;
      if (at >= place.width || place.tile + at >= w.channels) continue;
      storePart(parts, j * block + int64_t{blockIdx.x} * w.channels + place.tile + at,
                lds(sums + at), 0);
    }
    syncBlock();
  }
}

// finish(j)(n * C + c, c, triple) for every mask j and channel of x [N, ..., C]; the triple's mean is the sum of m x, of x without masks.
template <class MakeFinish>
void maskedSums(Context& cx, const char* name, const Input& x, const float* masks, int count,
                MakeFinish finish) {
  const ChannelWalk w(x.shape(), x.shape()[0], kRounds, kMostRounds);
  const int64_t block = w.groups * w.perGroup * w.channels;
  const Workspace parts(cx, static_cast<size_t>(count * block) * 2 * sizeof(double));
  launch(cx, name, w.blocks(), w.threads(),
         static_cast<size_t>(w.active * w.packet) * sizeof(float),
         w.packet == 4 ? &chunkSums<4> : &chunkSums<1>, x.data(), masks, count, w,
         parts.data<double>());
  for (int j = 0; j < count; ++j)
    launchMerge<MergeSums>(cx, name, parts.data<double>() + j * block * 2, w, finish(j));
}

struct KeepTotal {
  double* totals;
  RVX_DEVICE void operator()(int64_t at, int c, const Moments<double>& all) const {
    (void)c;
    st(totals + at, all.mean);
  }
};

// totals [N, K], the sums of m.
void maskTotals(Context& cx, const char* name, const Input& masks, double* totals) {
  const float* none = nullptr;
  maskedSums(cx, name, masks, none, 1, [&](int) { return KeepTotal{totals}; });
}

struct FinishMasked {
  const double* totals;  // of the mask, `count` apart
  float* y;              // of the mask
  int channels, count;
  RVX_DEVICE void operator()(int64_t at, int c, const Moments<double>& all) const {
    const int64_t n = at / channels;
    const double total = ld(totals + n * count);
    st(y + n * count * channels + c, total == 0 ? 0.0f : static_cast<float>(all.mean / total));
  }
};

template <int N>
RVX_KERNEL(kWalkThreads)
spreadMasked(const float* dy, const float* masks, int count, const double* totals, ChannelWalk w,
             float* dx) {
  const WalkPlace<N> place(w);
  const VoxelWalk<N> voxel(w, place);
  float share[kMasks][N];
  RVX_UNROLL
  for (int j = 0; j < kMasks; ++j) {
    const bool used = j < count;
    const int64_t row = int64_t{place.group} * count + (used ? j : 0);
    const double total = ld(totals + row);
    RVX_UNROLL
    for (int i = 0; i < N; ++i)
      share[j][i] =
          used && total != 0
              ? static_cast<float>(
                    static_cast<double>(ld(dy + row * w.channels + place.channel(i))) / total)
              : 0.0f;
  }
  int64_t k = 0;
  for (int64_t at = place.at; at < place.end; at += w.stride, ++k) {
    Packet<float, N> made{};
    RVX_UNROLL
    for (int i = 0; i < N; ++i) {
      if (at + i >= place.end) continue;
      const int64_t row = (voxel.first[i] + k * voxel.step) * count;
      RVX_UNROLL
      for (int j = 0; j < kMasks; ++j) {
        if (j >= count) break;
        made.value[i] += ld(masks + row + j) * share[j][i];
      }
    }
    storePacket(dx, at, place.end, made);
  }
}

}  // namespace

template <>
void run(const MaskedAveragePool& op, Context& cx) {
  const Shape& shape = op.x.shape();
  const auto count = static_cast<int>(op.masks.shape()[-1]);
  const auto channels = static_cast<int>(shape[-1]);
  const Workspace totals(cx, static_cast<size_t>(shape[0] * count) * sizeof(double));
  maskTotals(cx, "maskedAveragePool", op.masks, totals.data<double>());
  maskedSums(cx, "maskedAveragePool", op.x, op.masks.data(), count, [&](int j) {
    return FinishMasked{totals.data<double>() + j, op.y.data() + j * channels, channels, count};
  });
}

template <>
void run(const MaskedAveragePoolGrad& op, Context& cx) {
  const Shape& shape = op.dx.shape;
  if (shape.size() == 0) return;
  const auto count = static_cast<int>(op.masks.shape()[-1]);
  const Workspace totals(cx, static_cast<size_t>(shape[0] * count) * sizeof(double));
  maskTotals(cx, "maskedAveragePoolGrad", op.masks, totals.data<double>());
  const ChannelWalk w(shape, shape[0], 1, 8);
  launch(cx, "maskedAveragePoolGrad", w.blocks(), w.threads(), 0,
         w.packet == 4 ? &spreadMasked<4> : &spreadMasked<1>, op.dy.data(), op.masks.data(), count,
         totals.data<double>(), w, op.dx.data());
}

}  // namespace rvx::cuda
