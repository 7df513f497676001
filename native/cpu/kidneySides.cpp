// kidneySides: which kidney a component of a kidney mask belongs to, by its position in the body.
//
// The midline is the mean w of all voxels with image > bodyThreshold (the middle of the grid where
// there is none); w rises to the patient's left. A component goes to the side of its centroid, unless
// more than splitShare of it lies on each side of the midline (a horseshoe kidney, two kidneys that
// were joined by a few wrong voxels): then it is split there, voxel by voxel. Parts of fewer than
// minimumVoxels are dropped, and parts below keepShare of the largest of their side. A network that
// tells left from right itself learns much slower than one that does not have to; position is enough.
//
// Least bytes: image once, components twice, one write. All sums are integers: any order, same bits.
#include <algorithm>
#include <atomic>
#include <mutex>

#include "core/pool.h"
#include "cpu/component_table.h"
#include "cpu/label_rows.h"
#include "math/kidneySide.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Mean w of the body's voxels, in units of voxels.
template <class T>
double midlineOf(const T* image, int64_t rows, int64_t width, double threshold) {
  std::atomic<int64_t> voxels{0}, sum{0};
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    int64_t n = 0, s = 0;
    for (int64_t row = begin; row < end; ++row) {
      const T* line = image + row * width;
      int64_t inRow = 0, sumRow = 0;
      for (int64_t w = 0; w < width; ++w) {
        const int64_t inside = static_cast<double>(line[w]) > threshold;
        inRow += inside;
        sumRow += inside * w;
      }
      n += inRow;
      s += sumRow;
    }
    voxels += n;
    sum += s;
  });
  return bodyMidline(voxels, sum, width);
}

struct Position {
  std::atomic<int64_t> voxels{0}, left{0}, sum{0};
  operator KidneyPosition() const { return {voxels, left, sum}; }
};

}  // namespace

template <>
void run(const KidneySides& op, Context& cx) {
  const auto [D, H, W] = volumeSize(op.components.shape(), "components");
  const int64_t rows = D * H, height = H, width = W;
  const int32_t* in = op.components.data<int32_t>();
  const int32_t count = std::max(0, *op.count.data<int32_t>());
  const auto known = [count](int32_t value) { return value > 0 && value <= count; };

  const double midline = op.image.dtype() == DType::i16
                             ? midlineOf(op.image.data<int16_t>(), rows, width, op.bodyThreshold)
                             : midlineOf(op.image.data<float>(), rows, width, op.bodyThreshold);
  const int64_t middle = firstOfLeft(midline, width);

  const auto slots = static_cast<size_t>(count) + 1;
  Workspace space(cx, slots * (sizeof(Position) + sizeof(KidneyVerdict)));
  auto* position = space.data<Position>();
  for (size_t i = 0; i < slots; ++i) new (position + i) Position;
  auto* verdict = new (position + slots) KidneyVerdict[slots];
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      forEachLabelRun(in + row * width, width, [&](int64_t b, int64_t e, int32_t value) {
        if (!known(value)) return;
        Position& p = position[value];
        p.voxels.fetch_add(e - b, std::memory_order_relaxed);
        p.left.fetch_add(std::max<int64_t>(0, e - std::max(b, middle)), std::memory_order_relaxed);
        p.sum.fetch_add((b + e - 1) * (e - b) / 2, std::memory_order_relaxed);
      });
  });

  for (int32_t i = 1; i <= count; ++i)
    verdict[i] = kidneyVerdict(position[i], midline, op.splitShare);
  const int64_t minimum = std::max<int64_t>(op.minimumVoxels, 1);
  for (const uint8_t side : {kLeftSide, kRightSide}) {
    const auto part = [&](int32_t i) { return voxelsOfSide(position[i], verdict[i], side); };
    int64_t most = 0;
    for (int32_t i = 1; i <= count; ++i) most = std::max(most, part(i));
    for (int32_t i = 1; i <= count; ++i) {
      if (!isCrumb(part(i), minimum, op.keepShare, most)) continue;
      if (verdict[i].left == side) verdict[i].left = 0;
      if (verdict[i].right == side) verdict[i].right = 0;
    }
  }

  uint8_t* out = op.sides.data<uint8_t>();
  TableRow table[2];
  std::mutex mutex;
  parallelRows(rows, [&](int64_t begin, int64_t end) {
    TableRow mine[2];
    std::memset(out + begin * width, 0, static_cast<size_t>((end - begin) * width));
    for (int64_t row = begin; row < end; ++row) {
      const auto put = [&](int64_t b, int64_t e, uint8_t side) {
        if (b >= e || side == 0) return;
        std::memset(out + row * width + b, side, static_cast<size_t>(e - b));
        mine[side - 1].add(row / height, row % height, b, e, height, width);
      };
      forEachLabelRun(in + row * width, width, [&](int64_t b, int64_t e, int32_t value) {
        if (!known(value)) return;
        const int64_t cut = std::clamp(middle, b, e);
        put(b, cut, verdict[value].right);
        put(cut, e, verdict[value].left);
      });
    }
    std::lock_guard<std::mutex> lock(mutex);
    for (int i = 0; i < 2; ++i) table[i].merge(mine[i]);
  });
  for (int i = 0; i < 2; ++i) table[i].write(op.table.data<int32_t>() + i * kTableColumns);
}

}  // namespace rvx::cpu
