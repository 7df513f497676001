// overlapCounts: all pairs of labels in one pass. Least bytes: one read of each map. Split: fixed
// pieces with a table of their own, added up as integers under a lock.
#include <algorithm>
#include <mutex>

#include "core/pool.h"
#include "cpu/label_rows.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kGrain = int64_t{1} << 20;

// First index at or after i where a or b is not zero, or size.
template <class A, class B>
int64_t skipBackground(const A* a, const B* b, int64_t i, int64_t size) {
  if constexpr (sizeof(A) == 1 && sizeof(B) == 1)
    for (; i + 8 <= size; i += 8) {
      uint64_t x, y;
      std::memcpy(&x, a + i, sizeof x);
      std::memcpy(&y, b + i, sizeof y);
      if (x | y) break;
    }
  while (i < size && a[i] == 0 && b[i] == 0) ++i;
  return i;
}

// counts has (n + 1)^2 cells; index n stands for every value outside 0..n-1. Stretches of the same
// pair are counted at once: most voxels are background in both maps, and a counter that is read and
// written for each of them would be waited for.
template <class A, class B>
void countPiece(const A* a, const B* b, int64_t size, int64_t n, int64_t* counts) {
  const auto cell = [n](auto value) -> int64_t {
    return value < 0 || value >= n ? n : static_cast<int64_t>(value);
  };
  for (int64_t i = 0; i < size;) {
    const A va = a[i];
    const B vb = b[i];
    int64_t end = i + 1;
    if (va == 0 && vb == 0)
      end = skipBackground(a, b, end, size);
    else
      while (end < size && a[end] == va && b[end] == vb) ++end;
    counts[cell(va) * (n + 1) + cell(vb)] += end - i;
    i = end;
  }
}

template <class A, class B>
void count(const A* a, const B* b, const OverlapCounts& op, Context& cx) {
  const int64_t n = op.labels, cells = (n + 1) * (n + 1);
  Workspace space(cx, static_cast<size_t>(cells) * sizeof(int64_t));
  int64_t* all = space.data<int64_t>();
  std::fill(all, all + cells, 0);
  std::mutex mutex;
  parallelChunks(op.a.shape().size(), kGrain, [&](int64_t begin, int64_t end) {
    auto* mine =
        static_cast<int64_t*>(threadScratch(0, static_cast<size_t>(cells) * sizeof(int64_t)));
    std::fill(mine, mine + cells, 0);
    countPiece(a + begin, b + begin, end - begin, n, mine);
    std::lock_guard<std::mutex> lock(mutex);
    for (int64_t i = 0; i < cells; ++i) all[i] += mine[i];
  });
  double* counts = op.counts.data<double>();
  int64_t outside = 0;
  for (int64_t i = 0; i <= n; ++i)
    for (int64_t j = 0; j <= n; ++j)
      if (i < n && j < n)
        counts[i * n + j] = static_cast<double>(all[i * (n + 1) + j]);
      else
        outside += all[i * (n + 1) + j];
  *op.outside.data<double>() = static_cast<double>(outside);
}

}  // namespace

template <>
void run(const OverlapCounts& op, Context& cx) {
  withLabelType(op.a, [&](auto* a) { withLabelType(op.b, [&](auto* b) { count(a, b, op, cx); }); });
}

}  // namespace rvx::cpu
