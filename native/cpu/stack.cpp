// stack and sliceBatch: samples one after the other along the first axis. Least bytes: one read, one
// write. Work is split into blocks of bytes.
#include <algorithm>
#include <cstring>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

void copyBytes(char* to, const char* from, int64_t bytes) {
  parallelChunks(bytes, 1 << 20, [&](int64_t begin, int64_t end) {
    std::memcpy(to + begin, from + begin, static_cast<size_t>(end - begin));
  });
}

}  // namespace

template <>
void run(const Stack& op, Context&) {
  char* y = op.y.data<char>();
  for (const Input& item : op.items) {
    const auto bytes = static_cast<int64_t>(item.tensor.bytes());
    copyBytes(y, item.data<char>(), bytes);
    y += bytes;
  }
}

template <>
void run(const SliceBatch& op, Context&) {
  const Shape& s = op.x.shape();
  int64_t sample = static_cast<int64_t>(sizeOf(op.x.dtype()));
  for (int i = 1; i < s.rank; ++i) sample *= s[i];
  // Samples of y that x has.
  const int64_t from = std::clamp<int64_t>(-op.from, 0, op.count);
  const int64_t to = std::clamp<int64_t>(s[0] - op.from, from, op.count);
  char* y = op.y.data<char>();
  std::memset(y, 0, static_cast<size_t>(from * sample));
  copyBytes(y + from * sample, op.x.data<char>() + (op.from + from) * sample, (to - from) * sample);
  std::memset(y + to * sample, 0, static_cast<size_t>((op.count - to) * sample));
}

}  // namespace rvx::cpu
