// maxPool3d and its gradient; formulas in ops/pooling.h. The gradient gathers: each input voxel looks up the windows that hold it, in
// order, so sums have the CPU's order. x as f32, bf16 or f16 is compared in f32, after the norm where there is one.
//
// A thread makes neighbouring channels of one voxel, 16 bytes of x (one value where the channels do not divide so); blockIdx.x
// counts blocks of every plane (n, d). Windows of 2 without padding lie inside x as a whole: their eight loads are unrolled and on
// their way together. Larger windows overlap and meet their neighbours' voxels in the caches.
// FLOPs: a comparison a tap. Least bytes: x read, y and its indices written; gradient dy and indices read, dx written.
//
// Limits: cubic windows of 1 to 6, so that a tap fits a byte, one stride and padding for all axes, padding up to half a window (ops/pooling.h); a
// plane [H, W, C] of x has fewer than 2^30 values (checked).
#include <cmath>

#include "cuda/launch.h"
#include "cuda/packet.h"
#include "cuda/stored.h"
#include "math/activation.h"
#include "math/convert.h"
#include "math/maximum.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Pool {
  int depth, height, width, channels;  // of x
  int outDepth, outHeight, outWidth;   // of y
  int kernel, stride, padding;
  int items;        // packets of a plane that a block row makes: of y, of dx in the gradient
  unsigned blocks;  // of such a plane
  const float *scale, *shift;
  float slope;
};

// A thread's packet of channels in a plane of `height` rows of `columns` voxels.
template <int N>
struct PoolPlace {
  int plane, row, column, c;
  bool inside;

  RVX_DEVICE PoolPlace(const Pool& p, int columns) {
    const unsigned block = blockIdx.x / p.blocks;
    const unsigned item = (blockIdx.x - block * p.blocks) * kThreads + threadIdx.x;
    const auto packets = static_cast<unsigned>(p.channels) / N;
    inside = item < static_cast<unsigned>(p.items);
    plane = static_cast<int>(block);
    const unsigned voxel = item / packets;
    c = static_cast<int>(item - voxel * packets) * N;
    row = static_cast<int>(voxel / static_cast<unsigned>(columns));
    column = static_cast<int>(voxel) - row * columns;
  }
};

template <int N>
RVX_DEVICE void ldFloats(const float* p, float (&v)[N]) {
  constexpr int kRun = N < 4 ? N : 4;
  RVX_UNROLL
  for (int k = 0; k < N; k += kRun) {
    const auto part = ldPacket<kRun>(p + k);
    RVX_UNROLL
    for (int i = 0; i < kRun; ++i) v[k + i] = part.value[i];
  }
}

// N channels' best values so far, and the taps that they are from.
template <int N>
struct Best {
  float scale[N], shift[N], slope, value[N];
  uint8_t tap[N];

  RVX_DEVICE Best(const Pool& p, int64_t sample, int c, int first) : slope(p.scale ? p.slope : 1) {
    RVX_UNROLL
    for (int i = 0; i < N; ++i) {
      scale[i] = 1, shift[i] = 0, value[i] = -INFINITY;
      tap[i] = static_cast<uint8_t>(first);
    }
    if (!p.scale) return;
    ldFloats(p.scale + sample * p.channels + c, scale);
    ldFloats(p.shift + sample * p.channels + c, shift);
  }
  template <class T>
  RVX_DEVICE void meet(const Packet<T, N>& x, bool norm, int from) {
    RVX_UNROLL
    for (int i = 0; i < N; ++i) {
      float v = asFloat(x.value[i]);
      if (norm) v = leakyRelu(v * scale[i] + shift[i], slope);
      const bool more = replacesMaximum(v, value[i]);
      value[i] = more ? v : value[i];
      tap[i] = more ? static_cast<uint8_t>(from) : tap[i];
    }
  }
};

RVX_DEVICE int larger(int a, int b) { return a > b ? a : b; }
RVX_DEVICE int smaller(int a, int b) { return a < b ? a : b; }

// Kernel is the window's edge where it is 2 and lies inside x, else 0.
template <class T, int N, int Kernel>
RVX_KERNEL(kThreads)
maxPool(Pool p, const T* x, T* y, uint8_t* indices) {
  const PoolPlace<N> place(p, p.outWidth);
  if (!place.inside) return;
  const int n = place.plane / p.outDepth, k = Kernel ? Kernel : p.kernel;
  const int d = (place.plane - n * p.outDepth) * p.stride - p.padding;
  const int h = place.row * p.stride - p.padding, w = place.column * p.stride - p.padding;
  const T* sample = x + int64_t{n} * p.depth * p.height * p.width * p.channels + place.c;
  const auto at = [&](int kd, int kh, int kw) {
    return sample + ((int64_t{d + kd} * p.height + (h + kh)) * p.width + (w + kw)) * p.channels;
  };
  const bool norm = p.scale != nullptr;
  const int kd0 = larger(0, -d), kh0 = larger(0, -h), kw0 = larger(0, -w);
  Best<N> best(p, n, place.c, Kernel ? 0 : (kd0 * k + kh0) * k + kw0);
  if (Kernel) {
    constexpr int kTaps = Kernel ? Kernel * Kernel * Kernel : 1, kEdge = Kernel ? Kernel : 1;
    Packet<T, N> v[kTaps];
    RVX_UNROLL
    for (int t = 0; t < kTaps; ++t)
      v[t] = ldPacket<N>(at(t / (kEdge * kEdge), t / kEdge % kEdge, t % kEdge));
    RVX_UNROLL
    for (int t = 0; t < kTaps; ++t) best.meet(v[t], norm, t);
  } else {
    const int kd1 = smaller(k, p.depth - d), kh1 = smaller(k, p.height - h),
              kw1 = smaller(k, p.width - w);
    for (int kd = kd0; kd < kd1; ++kd)
      for (int kh = kh0; kh < kh1; ++kh)
        for (int kw = kw0; kw < kw1; ++kw)
          best.meet(ldPacket<N>(at(kd, kh, kw)), norm, (kd * k + kh) * k + kw);
  }
  const int64_t to =
      ((int64_t{place.plane} * p.outHeight + place.row) * p.outWidth + place.column) * p.channels +
      place.c;
  Packet<T, N> result;
  RVX_UNROLL
  for (int i = 0; i < N; ++i) store(best.value[i], &result.value[i]);
  stPacket(y + to, result);
  if (!indices) return;
  Packet<uint8_t, N> taps;
  RVX_UNROLL
  for (int i = 0; i < N; ++i) taps.value[i] = best.tap[i];
  stPacket(indices + to, taps);
}

// The windows o that hold position i: o s - p <= i < o s - p + k.
struct Windows {
  int from, to;
  RVX_DEVICE Windows(const Pool& p, int i, int outputs)
      : from(i + p.padding < p.kernel ? 0 : (i + p.padding - p.kernel) / p.stride + 1),
        to(smaller((i + p.padding) / p.stride + 1, outputs)) {}
};

template <class T, int N>
RVX_KERNEL(kThreads)
maxPoolGradient(Pool p, const T* dy, const uint8_t* indices, T* dx) {
  const PoolPlace<N> place(p, p.width);
  if (!place.inside) return;
  const int n = place.plane / p.depth, d = place.plane - n * p.depth;
  const Windows ds(p, d, p.outDepth), hs(p, place.row, p.outHeight),
      ws(p, place.column, p.outWidth);
  Packet<float, N> sum{};
  for (int od = ds.from; od < ds.to; ++od)
    for (int oh = hs.from; oh < hs.to; ++oh)
      for (int ow = ws.from; ow < ws.to; ++ow) {
        const int kd = d + p.padding - od * p.stride, kh = place.row + p.padding - oh * p.stride,
                  kw = place.column + p.padding - ow * p.stride;
        const int tap = (kd * p.kernel + kh) * p.kernel + kw;
        const int64_t at =
            (((int64_t{n} * p.outDepth + od) * p.outHeight + oh) * p.outWidth + ow) * p.channels +
            place.c;
        const auto passed = ldPacket<N>(dy + at);
        const auto chosen = ldPacket<N>(indices + at);
        RVX_UNROLL
        for (int i = 0; i < N; ++i)
          sum.value[i] += chosen.value[i] == tap ? asFloat(passed.value[i]) : 0.0f;
      }
  const int64_t to =
      ((int64_t{place.plane} * p.height + place.row) * p.width + place.column) * p.channels +
      place.c;
  Packet<T, N> result;
  RVX_UNROLL
  for (int i = 0; i < N; ++i) result.value[i] = asStored<T>(sum.value[i]);
  stPacket(dx + to, result);
}

int checked(int64_t n, const Shape& shape) {
  require(n <= INT32_MAX / 2, "ShapeMismatch",
          "A plane of " + shape.text() + " is too large for the GPU");
  return static_cast<int>(n);
}

// `made` is the one of the two shapes that a thread makes a packet of.
template <class Op>
Pool poolOf(const Op& op, const Shape& x, const Shape& y, const Shape& made, int packet) {
  Pool p{};
  checked(x[2] * x[3] * x[4] + op.kernel, x);
  p.depth = checked(x[1] + op.kernel, x) - static_cast<int>(op.kernel);
  p.height = static_cast<int>(x[2]), p.width = static_cast<int>(x[3]);
  p.channels = static_cast<int>(x[4]);
  p.outDepth = static_cast<int>(y[1]), p.outHeight = static_cast<int>(y[2]);
  p.outWidth = static_cast<int>(y[3]);
  p.kernel = static_cast<int>(op.kernel), p.stride = checked(op.stride, x);
  p.padding = static_cast<int>(op.padding);
  p.items = checked(made[2] * made[3] * made[4] / packet, made);
  p.blocks = blocksFor(p.items, kThreads);
  return p;
}

unsigned poolBlocks(const Pool& p, const Shape& made) {
  return blocksFor(made[0] * made[1] * p.blocks, 1);
}

template <class T, int N>
void pool(const MaxPool3d& op, Context& cx) {
  const Shape &x = op.x.shape(), &y = op.y.shape;
  Pool p = poolOf(op, x, y, y, N);
  if (op.scale) p.scale = op.scale.data(), p.shift = op.shift.data();
  p.slope = static_cast<float>(op.slope);
  launch(cx, "maxPool3d", poolBlocks(p, y), kThreads, 0,
         op.kernel == 2 && op.padding == 0 ? &maxPool<T, N, 2> : &maxPool<T, N, 0>, p,
         op.x.data<T>(), op.y.data<T>(), op.indices.data<uint8_t>());
}
template <class T>
void poolAs(const MaxPool3d& op, Context& cx) {
  constexpr int kN = packetLength<T>();
  op.x.shape()[4] % kN == 0 ? pool<T, kN>(op, cx) : pool<T, 1>(op, cx);
}

}  // namespace

template <>
void run(const MaxPool3d& op, Context& cx) {
  if (op.y.shape.size() == 0) return;
  switch (op.x.dtype()) {
    case DType::bf16:
      return poolAs<Bf16>(op, cx);
    case DType::f16:
      return poolAs<F16>(op, cx);
    default:
      return poolAs<float>(op, cx);
  }
}

template <>
void run(const MaxPool3dGrad& op, Context& cx) {
  const Shape &y = op.dy.shape(), &x = op.dx.shape;
  if (x.size() == 0) return;
  const int packet = x[4] % 4 == 0 ? 4 : 1;
  const Pool p = poolOf(op, x, y, x, packet);
  withStoredType(op.dx.dtype, [&](auto* stored) {
    using T = std::remove_pointer_t<decltype(stored)>;
    launch(cx, "maxPool3dGrad", poolBlocks(p, x), kThreads, 0,
           packet == 4 ? &maxPoolGradient<T, 4> : &maxPoolGradient<T, 1>, p, op.dy.data<T>(),
           op.indices.data<uint8_t>(), op.dx.data<T>());
  });
}

}  // namespace rvx::cuda
