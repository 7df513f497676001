// keepComponents: the largest components, renumbered by size; with a core, those with enough of it. Least bytes: two reads of the map (three,
// and one of the core), one write. Sizes are counted by atomic integer additions, one a run: their order does not matter.
#include <algorithm>
#include <atomic>
#include <numeric>
#include <vector>

#include "core/pool.h"
#include "cpu/label_rows.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// sizes[i]: voxels of component i for which f says how many of the run of them (from, length) count.
template <class Known, class F>
void countRuns(const int32_t* in, int64_t rows, int64_t width, std::atomic<int32_t>* sizes,
               const Known& known, F&& f) {
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    // Neighbouring runs are mostly of one component: add them up before touching shared memory.
    int32_t current = 0, pending = 0;
    for (int64_t row = begin; row < end; ++row)
      forEachLabelRun(in + row * width, width, [&](int64_t b, int64_t e, int32_t value) {
        if (!known(value)) return;
        if (value != current) {
          sizes[current].fetch_add(pending, std::memory_order_relaxed);
          current = value;
          pending = 0;
        }
        pending += f(row * width + b, e - b);
      });
    sizes[current].fetch_add(pending, std::memory_order_relaxed);
  });
}

template <class T>
void keep(const KeepComponents& op, Context& cx) {
  const auto [D, H, W] = volumeSize(op.components.shape(), "components");
  const int64_t rows = D * H, width = W;
  const int32_t* in = op.components.data<int32_t>();
  const int32_t count = std::max(0, *op.count.data<int32_t>());
  const auto known = [count](int32_t value) { return value > 0 && value <= count; };

  const auto slots = static_cast<size_t>(count) + 1;
  Workspace space(cx, slots * 2 * (sizeof(std::atomic<int32_t>) + sizeof(int32_t)));
  auto* size = new (space.data<void>()) std::atomic<int32_t>[2 * slots];
  auto* core = size + slots;
  int32_t* order = reinterpret_cast<int32_t*>(core + slots);
  int32_t* rank = order + slots;
  for (size_t i = 0; i < 2 * slots; ++i) size[i].store(0, std::memory_order_relaxed);
  countRuns(in, rows, width, size, known,
            [](int64_t, int64_t length) { return static_cast<int32_t>(length); });
  if (op.core) {
    const auto* inside = op.core.data<uint8_t>();
    countRuns(in, rows, width, core, known, [&](int64_t from, int64_t length) {
      int32_t n = 0;
      for (int64_t i = from; i < from + length; ++i) n += inside[i] != 0;
      return n;
    });
    for (size_t i = 1; i < slots; ++i)
      if (core[i] < op.leastShare * size[i]) size[i] = 0;
  }

  int32_t candidates = 0;
  for (int32_t i = 1; i <= count; ++i)
    if (size[i].load(std::memory_order_relaxed) >= std::max<int64_t>(op.minimumVoxels, 1))
      order[candidates++] = i;
  const auto kept = static_cast<int32_t>(std::min<int64_t>(candidates, op.largest));
  std::partial_sort(order, order + kept, order + candidates, [&](int32_t a, int32_t b) {
    return size[a] != size[b] ? size[a] > size[b] : a < b;
  });
  std::fill(rank, rank + slots, 0);
  int32_t* voxels = op.voxels.data<int32_t>();
  std::fill(voxels, voxels + op.largest, 0);
  for (int32_t i = 0; i < kept; ++i) {
    rank[order[i]] = i + 1;
    voxels[i] = size[order[i]];
  }

  T* out = op.kept.data<T>();
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    std::memset(out + begin * width, 0, static_cast<size_t>((end - begin) * width) * sizeof(T));
    for (int64_t row = begin; row < end; ++row)
      forEachLabelRun(in + row * width, width, [&](int64_t b, int64_t e, int32_t value) {
        if (known(value) && rank[value])
          std::fill(out + row * width + b, out + row * width + e, static_cast<T>(rank[value]));
      });
  });
}

}  // namespace

template <>
void run(const KeepComponents& op, Context& cx) {
  if (op.kept.dtype == DType::u8)
    keep<uint8_t>(op, cx);
  else
    keep<int32_t>(op, cx);
}

}  // namespace rvx::cpu
