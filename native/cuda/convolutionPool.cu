// Conv3d's `pooled` from the result in memory: of each window of 2x2x2 voxels the largest value, or where poolSign < 0 the smallest.
//
// A thread makes neighbouring channels of one window, 16 bytes of y (one value where the channels do not divide so); its eight loads are
// on their way together. blockIdx.x counts blocks of every plane (n, d) of windows.
// FLOPs: 8 comparisons a window. Least bytes: y read, pooled written.
// Limits: windows of 2x2x2 alone, an odd last voxel counts in none; a plane of windows has fewer than 2^30 packets (checked).
#include "cuda/convolutionPool.h"
#include "cuda/launch.h"
#include "cuda/packet.h"
#include "cuda/stored.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Windows {
  int depth, height, width, channels;  // of y
  int items;                           // packets of a plane of windows
  unsigned blocks;                     // of such a plane
};

template <class T, int N>
RVX_KERNEL(kThreads)
poolEach(Windows p, const T* y, const float* poolSign, T* pooled) {
  const unsigned plane = blockIdx.x / p.blocks;
  const unsigned item = (blockIdx.x - plane * p.blocks) * kThreads + threadIdx.x;
  if (item >= static_cast<unsigned>(p.items)) return;
  const auto packets = static_cast<unsigned>(p.channels) / N;
  const auto columns = static_cast<unsigned>(p.width) / 2,
             planes = static_cast<unsigned>(p.depth) / 2;
  const unsigned voxel = item / packets, c = (item - voxel * packets) * N;
  const unsigned h = voxel / columns, w = voxel - h * columns;
  const unsigned n = plane / planes, d = plane - n * planes;
  const T* sample = y + int64_t{n} * p.depth * p.height * p.width * p.channels + c;
  Packet<T, N> v[8];
  RVX_UNROLL
  for (unsigned t = 0; t < 8; ++t) {
    const int64_t row = int64_t{2 * d + (t >> 2)} * p.height + (2 * h + (t >> 1 & 1));
    v[t] = ldPacket<N>(sample + (row * p.width + (2 * w + (t & 1))) * p.channels);
  }
  Packet<T, N> result;
  RVX_UNROLL
  for (unsigned i = 0; i < N; ++i) {
    const uint32_t flip = poolFlip(ld(poolSign + c + i));
    float best = flipped(asFloat(v[0].value[i]), flip);
    RVX_UNROLL
    for (int t = 1; t < 8; ++t) best = maximum(best, flipped(asFloat(v[t].value[i]), flip));
    result.value[i] = asStored<T>(flipped(best, flip));
  }
  stPacket(pooled + int64_t{plane} * p.items * N + int64_t{item} * N, result);
}

template <class T, int N>
void poolAs(const Output& y, const float* poolSign, const Output& pooled, Context& cx) {
  const Shape &in = y.shape, &out = pooled.shape;
  const int64_t items = out[2] * out[3] * out[4] / N;
  require(items <= INT32_MAX / 2, "ShapeMismatch",
          "A plane of " + in.text() + " is too large to be pooled on the GPU");
  Windows p{};
  p.depth = static_cast<int>(in[1]), p.height = static_cast<int>(in[2]);
  p.width = static_cast<int>(in[3]), p.channels = static_cast<int>(in[4]);
  p.items = static_cast<int>(items);
  p.blocks = blocksFor(items, kThreads);
  launch(cx, "conv3d/pool", blocksFor(out[0] * out[1] * p.blocks, 1), kThreads, 0, &poolEach<T, N>,
         p, y.data<T>(), poolSign, pooled.data<T>());
}

}  // namespace

void poolWindows(const Output& y, const float* poolSign, const Output& pooled, Context& cx) {
  withStoredType(y.dtype, [&](auto* stored) {
    using T = std::remove_pointer_t<decltype(stored)>;
    constexpr int kN = packetLength<T>();
    y.shape[4] % kN == 0 ? poolAs<T, kN>(y, poolSign, pooled, cx)
                         : poolAs<T, 1>(y, poolSign, pooled, cx);
  });
}

}  // namespace rvx::cuda
