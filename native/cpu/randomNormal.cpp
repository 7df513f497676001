// randomNormal, randomUniform: value i comes from word i of Philox block i / 4 of (seed, stream), so
// it depends on nothing but (seed, stream, i). Bytes: one write. About 30 integer multiplications for
// four values. Work is split into chunks of whole blocks.
#include <cstring>

#include "core/pool.h"
#include "cpu/isa/random.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

using Rows = void (*)(uint64_t, uint64_t, uint64_t, int64_t, float, float, float*);

void drawAll(const Output& y, int64_t seed, int64_t stream, double first, double second,
             Rows rows) {
  const int64_t size = y.shape.size();
  float* data = y.data();
  parallelChunks(size, 1 << 16, [&](int64_t begin, int64_t end) {
    const auto draw = [&](int64_t from, int64_t blocks, float* to) {
      rows(static_cast<uint64_t>(seed), static_cast<uint64_t>(stream),
           static_cast<uint64_t>(from / 4), blocks, static_cast<float>(first),
           static_cast<float>(second), to);
    };
    const int64_t whole = (end - begin) / 4, rest = (end - begin) % 4;
    draw(begin, whole, data + begin);
    if (rest > 0) {
      float last[4];
      draw(begin + 4 * whole, 1, last);
      std::memcpy(data + begin + 4 * whole, last, static_cast<size_t>(rest) * sizeof(float));
    }
  });
}

}  // namespace

template <>
void run(const RandomNormal& op, Context&) {
  drawAll(op.y, op.seed, op.stream, op.mean, op.deviation, RVX_ISA_CALL(normals));
}

template <>
void run(const RandomUniform& op, Context&) {
  drawAll(op.y, op.seed, op.stream, op.low, op.high - op.low, RVX_ISA_CALL(uniforms));
}

}  // namespace rvx::cpu
