// Packing of convolution weights for tensor cores: out[tap][u][co][j] = W(co, channel u * 8 + j, tap) rounded to T, zero where there is
// no such channel. With two sources the second one's channels begin at a new unit. Least bytes: 4 read, 2 written a weight. No FLOPs.
//
// A thread makes one unit of 16 bytes; neighbours take neighbouring taps, which lie side by side in the weight.
//
// Limits: f32 weights. Packed ones stay beside the weight's buffer as long as it lives, 2 bytes a padded weight for each precision and padding
// that was asked for, and are made again where it was written: in training each step. Paired taps (packPaired) read the weight with gaps.
#include "cuda/convolutionTensorPack.h"
#include "cuda/launch.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct PackedShape {
  int taps, channels8, firstChannels8, rows;  // rows: output channels with padding
  int cout, channels, secondChannels;
  int64_t coStride, ciStride;
};

template <class T>
RVX_KERNEL(kThreads)
packWeights(const float* weight, uint4* out, PackedShape s, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const int tap = static_cast<int>(i % s.taps);
  const int64_t unit = i / s.taps;
  const int u = static_cast<int>(unit % s.channels8), co = static_cast<int>(unit / s.channels8);
  const bool second = u >= s.firstChannels8;
  const int from = (second ? u - s.firstChannels8 : u) * 8;
  const int left = (second ? s.secondChannels : s.channels) - from;
  const int ci = from + (second ? s.channels : 0);
  float v[8];
  RVX_UNROLL
  for (int j = 0; j < 8; ++j)
    v[j] =
        co < s.cout && j < left ? ld(weight + co * s.coStride + (ci + j) * s.ciStride + tap) : 0.0f;
  st(out + (int64_t{tap} * s.channels8 + u) * s.rows + co,
     make_uint4(cuda::pack<T>(v[0], v[1]), cuda::pack<T>(v[2], v[3]), cuda::pack<T>(v[4], v[5]),
                cuda::pack<T>(v[6], v[7])));
}

// Of paired taps: out[tap][co][tap within the unit * channels + ci], taps in the order of the launch, an even number of them.
struct PairedShape {
  int taps, tapsH, tapsW, packed, kernelTapsW;
  int rows, cout, channels;
  int kernelH, kernelW;
  int firstD, firstH, firstW, byD, byH, byW;
  int64_t coStride, ciStride;
};
template <class T>
RVX_KERNEL(kThreads)
packPaired(const float* weight, uint4* out, PairedShape s, int64_t count) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const int tap = static_cast<int>(i / s.rows), co = static_cast<int>(i % s.rows);
  const int kw = tap % s.tapsW, kh = tap / s.tapsW % s.tapsH, kd = tap / s.tapsW / s.tapsH;
  const int row = ((s.firstD + kd * s.byD) * s.kernelH + s.firstH + kh * s.byH) * s.kernelW;
  float v[8];
  RVX_UNROLL
  for (int j = 0; j < 8; ++j) {
    const int within = j / s.channels, ci = j - within * s.channels;
    const int k = kw * s.packed + within;
    v[j] = tap < s.taps && co < s.cout && within < s.packed && k < s.kernelTapsW
               ? ld(weight + co * s.coStride + ci * s.ciStride + row + s.firstW + k * s.byW)
               : 0.0f;
  }
  st(out + i, make_uint4(cuda::pack<T>(v[0], v[1]), cuda::pack<T>(v[2], v[3]),
                         cuda::pack<T>(v[4], v[5]), cuda::pack<T>(v[6], v[7])));
}

const void* packedPairs(const TensorConvolution& c, const TensorTile& tile, Context& cx) {
  const Shape& w = c.weight->shape();
  const auto kernel = static_cast<int>(w[2] * w[3] * w[4]);
  PairedShape s;
  s.taps = c.axis[0].taps * c.axis[1].taps * tile.tapsW;
  s.tapsH = c.axis[1].taps, s.tapsW = tile.tapsW;
  s.packed = tile.packed, s.kernelTapsW = c.axis[2].taps;
  s.rows = (c.cout + tile.blockN() - 1) / tile.blockN() * tile.blockN();
  s.cout = c.cout, s.channels = c.source[0].channels;
  s.kernelH = static_cast<int>(w[3]), s.kernelW = static_cast<int>(w[4]);
  s.firstD = c.axis[0].kernel, s.firstH = c.axis[1].kernel, s.firstW = c.axis[2].kernel;
  s.byD = c.axis[0].kernelStep, s.byH = c.axis[1].kernelStep, s.byW = c.axis[2].kernelStep;
  s.coStride = c.transposed ? kernel : w[1] * kernel;
  s.ciStride = c.transposed ? w[1] * kernel : kernel;
  const int64_t count = int64_t{2} * tile.items * s.rows;
  Buffer& buffer = *c.weight->tensor.buffer;
  // All taps, from the first or from the last on: `transposed` says which.
  Companion& companion =
      buffer.companion({2, c.operand == DType::bf16, c.transposed, c.first, c.cout, s.tapsW,
                        s.packed, s.taps, s.rows, s.channels, w[1], kernel},
                       static_cast<size_t>(count) * kUnitBytes);
  if (companion.made == buffer.written) return companion.data;
  const float* from = c.weight->data() + c.first * s.coStride;
  launch(cx, "convolution/pack", blocksFor(count, kThreads), kThreads, 0,
         c.operand == DType::bf16 ? &packPaired<Bf16> : &packPaired<F16>, from,
         static_cast<uint4*>(companion.data), s, count);
  companion.made = buffer.written;
  return companion.data;
}

}  // namespace

const void* packedWeights(const TensorConvolution& c, const TensorTile& tile, Context& cx) {
  if (tile.paired) return packedPairs(c, tile, cx);
  const Shape& w = c.weight->shape();
  PackedShape s;
  s.taps = static_cast<int>(w[2] * w[3] * w[4]);
  s.channels8 = tile.channels8;
  s.firstChannels8 = tile.firstChannels8;
  s.rows = (c.cout + tile.blockN() - 1) / tile.blockN() * tile.blockN();
  s.cout = c.cout;
  s.channels = c.source[0].channels;
  s.secondChannels = c.source[1].channels;
  s.coStride = c.transposed ? s.taps : w[1] * s.taps;
  s.ciStride = c.transposed ? w[1] * s.taps : s.taps;
  const int64_t count = int64_t{s.taps} * s.channels8 * s.rows;
  Buffer& buffer = *c.weight->tensor.buffer;
  Companion& companion =
      buffer.companion({1, c.operand == DType::bf16, c.transposed, c.first, c.cout, s.taps,
                        s.channels8, s.firstChannels8, s.rows, s.channels, s.secondChannels, w[1]},
                       static_cast<size_t>(count) * kUnitBytes);
  if (companion.made == buffer.written) return companion.data;
  const float* from = c.weight->data() + c.first * s.coStride;
  launch(cx, "convolution/pack", blocksFor(count, kThreads), kThreads, 0,
         c.operand == DType::bf16 ? &packWeights<Bf16> : &packWeights<F16>, from,
         static_cast<uint4*>(companion.data), s, count);
  companion.made = buffer.written;
  return companion.data;
}

}  // namespace rvx::cuda
