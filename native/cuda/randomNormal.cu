// randomNormal and randomUniform: value i comes from word i % 4 of Philox block i / 4 of (seed, stream) and depends on nothing else;
// normal ones by Box-Muller (math/normal.h), with the CPU's bits.
// Bytes: one write. 20 wide multiplications and, for normal values, about 90 FLOPs for four values. A thread makes one block of
// four and stores it at once; the last one may be cut.
// Source: Salmon et al., SC'11 (math/philox.h).
// Limits: f32; seed and stream up to 2^53 - 1 (lib/ops/randomNormal.ts); deviates of uniforms of 31 bits end at 6.66 (math/normal.h).
#include "cuda/launch.h"
#include "cuda/packet.h"
#include "math/normal.h"
#include "math/philox.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

// first + second * value: mean and deviation, or low and range.
struct Draw {
  uint64_t seed, stream;
  float first, second;
};

RVX_DEVICE Packet<float, 4> uniforms(const PhiloxWords& w) {
  return {{unitInterval(w.word[0]), unitInterval(w.word[1]), unitInterval(w.word[2]),
           unitInterval(w.word[3])}};
}
RVX_DEVICE Packet<float, 4> normals(const PhiloxWords& w) {
  const NormalPair a = normalPair(w.word[0], w.word[1]), b = normalPair(w.word[2], w.word[3]);
  return {{a.first, a.second, b.first, b.second}};
}

template <bool Normal>
RVX_KERNEL(kThreads)
draw(Draw of, int64_t count, float* y) {
  const int64_t block = int64_t{blockIdx.x} * kThreads + threadIdx.x, at = 4 * block;
  if (at >= count) return;
  const PhiloxWords words = philoxBlock(of.seed, static_cast<uint64_t>(block), of.stream);
  Packet<float, 4> v = Normal ? normals(words) : uniforms(words);
  RVX_UNROLL
  for (int i = 0; i < 4; ++i) v.value[i] = of.first + of.second * v.value[i];
  if (at + 4 <= count) {
    stPacket(y + at, v);
    return;
  }
  RVX_UNROLL
  for (int i = 0; i < 3; ++i)
    if (at + i < count) st(y + at + i, v.value[i]);
}

void drawAll(Context& cx, const char* name, const Output& y, int64_t seed, int64_t stream,
             double first, double second, void (*kernel)(Draw, int64_t, float*)) {
  const int64_t count = y.shape.size();
  const Draw of{static_cast<uint64_t>(seed), static_cast<uint64_t>(stream),
                static_cast<float>(first), static_cast<float>(second)};
  launch(cx, name, blocksFor(count, kThreads * 4), kThreads, 0, kernel, of, count, y.data());
}

}  // namespace

template <>
void run(const RandomNormal& op, Context& cx) {
  drawAll(cx, "randomNormal", op.y, op.seed, op.stream, op.mean, op.deviation, &draw<true>);
}

template <>
void run(const RandomUniform& op, Context& cx) {
  drawAll(cx, "randomUniform", op.y, op.seed, op.stream, op.low, op.high - op.low, &draw<false>);
}

}  // namespace rvx::cuda
