// dropout: y_i = x_i / (1 - p) where u_i >= p, else 0; u_i from word i % 4 of Philox4x32-10 (math/philox.h) with the key `seed` and
// the counter (i / 4, offset), so that the mask is never stored and the gradient is the same operation.
// Least bytes: x read, y written. 20 wide multiplications for four values, about half of what fits behind their bytes on an H100.
// A thread takes one Philox block: one packet of four values; the last one may be cut. FLOPs: one a value.
// Limits: f32, p up to 1 - 2^-24, seed and offset up to 2^53 - 1 (lib/ops/dropout.ts). Counters of blocks have 64 bits.
#include "cuda/launch.h"
#include "cuda/packet.h"
#include "math/philox.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Mask {
  uint64_t seed, offset;
  float p, scale;
};

RVX_DEVICE float dropped(const Mask& mask, float x, uint32_t word) {
  const float kept = x * mask.scale;
  return unitInterval(word) >= mask.p ? kept : 0.0f;
}

RVX_KERNEL(kThreads) dropout(Mask mask, const float* x, int64_t count, float* y) {
  const int64_t block = int64_t{blockIdx.x} * kThreads + threadIdx.x, at = 4 * block;
  if (at >= count) return;
  const PhiloxWords words = philoxBlock(mask.seed, static_cast<uint64_t>(block), mask.offset);
  if (at + 4 <= count) {
    auto v = ldPacket<4>(x + at);
    RVX_UNROLL
    for (int i = 0; i < 4; ++i) v.value[i] = dropped(mask, v.value[i], words.word[i]);
    stPacket(y + at, v);
    return;
  }
  RVX_UNROLL
  for (int i = 0; i < 3; ++i)
    if (at + i < count) st(y + at + i, dropped(mask, ld(x + at + i), words.word[i]));
}

}  // namespace

template <>
void run(const Dropout& op, Context& cx) {
  const int64_t count = op.y.shape.size();
  const Mask mask{static_cast<uint64_t>(op.seed), static_cast<uint64_t>(op.offset),
                  static_cast<float>(op.p), static_cast<float>(1 / (1 - op.p))};
  launch(cx, "dropout", blocksFor(count, kThreads * 4), kThreads, 0, &dropout, mask, op.x.data(),
         count, op.y.data());
}

}  // namespace rvx::cuda
