// componentTable: size, box and first voxel of every component. Least bytes: one read of the map.
// Split: fixed pieces of rows, each with a table of its own, merged under a lock (integers only).
#include <mutex>

#include "core/pool.h"
#include "cpu/component_table.h"
#include "cpu/label_rows.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

template <class T>
void table(const T* labels, const ComponentTable& op, Context& cx) {
  const auto [D, H, W] = volumeSize(op.components.shape(), "components");
  const int64_t rows = D * H, height = H, width = W;
  const int64_t capacity = op.capacity;
  Workspace space(cx, static_cast<size_t>(capacity + 1) * sizeof(TableRow));
  TableRow* all = space.data<TableRow>();
  std::fill(all, all + capacity + 1, TableRow{});
  std::mutex mutex;
  // Few pieces: each one costs a table.
  if (rows > 0)
    parallelChunks(rows, (rows + 15) / 16, [&](int64_t begin, int64_t end) {
      auto* mine = static_cast<TableRow*>(
          threadScratch(0, static_cast<size_t>(capacity + 1) * sizeof(TableRow)));
      std::fill(mine, mine + capacity + 1, TableRow{});
      for (int64_t row = begin; row < end; ++row) {
        const int64_t d = row / height, h = row % height;
        forEachLabelRun(labels + row * width, width, [&](int64_t b, int64_t e, T value) {
          mine[0].add(d, h, b, e, height, width);
          if (value > 0 && value <= capacity) mine[value].add(d, h, b, e, height, width);
        });
      }
      std::lock_guard<std::mutex> lock(mutex);
      for (int64_t i = 0; i <= capacity; ++i)
        if (mine[i].voxels) all[i].merge(mine[i]);
    });
  for (int64_t i = 0; i <= capacity; ++i)
    all[i].write(op.table.data<int32_t>() + i * kTableColumns);
}

}  // namespace

template <>
void run(const ComponentTable& op, Context& cx) {
  withLabelType(op.components, [&](auto* labels) { table(labels, op, cx); });
}

}  // namespace rvx::cpu
