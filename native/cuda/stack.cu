// stack and sliceBatch: samples one after the other along the first axis. Least bytes: one read, one write; the driver's copies and
// fills, one for each run of bytes. No FLOPs.
// Limits: none but memory. A copy of the driver for each item, so many small ones cost a call each.
#include <algorithm>

#include "cuda/launch.h"
#include "ops/ops.h"

namespace rvx::cuda {

template <>
void run(const Stack& op, Context& cx) {
  char* y = op.y.data<char>();
  for (const Input& item : op.items) {
    gpu(cx).copy(y, item.data<char>(), item.tensor.bytes());
    y += item.tensor.bytes();
  }
}

template <>
void run(const SliceBatch& op, Context& cx) {
  const Shape& s = op.x.shape();
  size_t sample = sizeOf(op.x.dtype());
  for (int i = 1; i < s.rank; ++i) sample *= static_cast<size_t>(s[i]);
  // Samples of y that x has.
  const int64_t from = std::clamp<int64_t>(-op.from, 0, op.count);
  const int64_t to = std::clamp<int64_t>(s[0] - op.from, from, op.count);
  const auto bytes = [&](int64_t samples) { return static_cast<size_t>(samples) * sample; };
  char* y = op.y.data<char>();
  gpu(cx).fill(y, 0, bytes(from));
  if (to > from)
    gpu(cx).copy(y + bytes(from), op.x.data<char>() + bytes(op.from + from), bytes(to - from));
  gpu(cx).fill(y + bytes(to), 0, bytes(op.count - to));
}

}  // namespace rvx::cuda
