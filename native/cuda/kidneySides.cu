// kidneySides: which kidney a component of a kidney mask belongs to; cpu/kidneySides.cpp tells the rule, math/kidneySide.h has it.
//
// body: voxels and sum of w of what is above the threshold. gather: voxels, voxels left of the midline and sum of w of each component, by
// block in shared memory for kSlots of them (componentTable.cu). judge: verdicts, and the largest part of each side. drop: parts that are
// too small. write: sides, and the two rows of the table. All sums are integers: any order, same bits. Least bytes: image once, components
// twice, one write. FLOPs: one comparison in double a voxel. The number of components is read back, since the memory depends on it.
//
// Limits: fewer than 2^31 voxels; f32 or i16 image (ops/labels.h); w must rise to the patient's left, which nothing here can check. Workspace: 26
// bytes a component. The host waits for the read-back. More than kSlots components side by side cost atomics in global memory, up to three a run.
#include "cuda/componentRows.h"
#include "cuda/readBack.h"
#include "math/kidneySide.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kSlots = 128;

// Sums that blocks add to; the components' come behind them.
struct Sums {
  uint64_t voxels, w;  // of the body
  uint64_t most[2];    // largest part of the left, of the right
};
struct Position {
  uint64_t voxels, left, w;
};

RVX_DEVICE KidneyPosition positionOf(const Position* p) {
  return {static_cast<int64_t>(ld(&p->voxels)), static_cast<int64_t>(ld(&p->left)),
          static_cast<int64_t>(ld(&p->w))};
}
RVX_DEVICE double midlineOf(const Sums* sums, const LabelWords& g) {
  return bodyMidline(static_cast<int64_t>(ld(&sums->voxels)), static_cast<int64_t>(ld(&sums->w)),
                     g.width);
}
RVX_DEVICE int32_t middleOf(const Sums* sums, const LabelWords& g) {
  return static_cast<int32_t>(firstOfLeft(midlineOf(sums, g), g.width));
}

template <class T>
RVX_KERNEL(kLabelThreads)
body(const T* image, LabelWords g, double threshold, Sums* sums) {
  const auto lane = static_cast<int32_t>(threadIdx.x % 32);
  const int64_t step = int64_t{gridDim.x} * kLabelWarps, strips = g.allStrips();
  uint64_t voxels = 0, sum = 0;
  for (int64_t s = int64_t{blockIdx.x} * kLabelWarps + threadIdx.x / 32; s < strips; s += step)
    forEachWord(g, Strip(g, static_cast<int32_t>(s)), image, [&](int32_t word, T value) {
      const int32_t w = word * kWordVoxels + lane;
      if (w >= g.width || !(static_cast<double>(value) > threshold)) return;
      ++voxels;
      sum += static_cast<uint64_t>(w);
    });
  voxels = sumBlock(voxels, sharedMemory<uint64_t>());
  syncBlock();
  sum = sumBlock(sum, sharedMemory<uint64_t>());
  if (threadIdx.x != 0 || voxels == 0) return;
  atomicAdd(&sums->voxels, voxels);
  atomicAdd(&sums->w, sum);
}

RVX_DEVICE void addTo(Position* p, uint64_t voxels, uint64_t left, uint64_t w) {
  atomicAdd(&p->voxels, voxels);
  if (left) atomicAdd(&p->left, left);
  if (w) atomicAdd(&p->w, w);
}

RVX_KERNEL(kLabelThreads)
gather(const int32_t* components, LabelWords g, int32_t count, const Sums* sums,
       Position* positions) {
  auto* own = sharedMemory<Position>();
  auto* keys = sharedMemory<int32_t>(kSlots * sizeof(Position));
  const auto t = static_cast<int>(threadIdx.x);
  if (t < kSlots) {
    sts(&own[t].voxels, uint64_t{0}), sts(&own[t].left, uint64_t{0}), sts(&own[t].w, uint64_t{0});
    sts(keys + t, int32_t{0});
  }
  syncBlock();
  const int32_t middle = middleOf(sums, g);
  forEachLabelRun(g, components, [&](int32_t, int32_t, int32_t begin, int32_t end, int32_t value) {
    if (value <= 0 || value > count) return;
    const int slot = claimSlot(keys, kSlots, value);
    const int32_t left = end - Maximum()(begin, middle);
    addTo(slot < 0 ? positions + value - 1 : own + slot, static_cast<uint64_t>(end - begin),
          static_cast<uint64_t>(Maximum()(left, int32_t{0})),
          static_cast<uint64_t>(int64_t{begin} + end - 1) * static_cast<uint64_t>(end - begin) / 2);
  });
  syncBlock();
  if (t >= kSlots || lds(&own[t].voxels) == 0) return;
  addTo(positions + lds(keys + t) - 1, lds(&own[t].voxels), lds(&own[t].left), lds(&own[t].w));
}

RVX_KERNEL(kLabelThreads)
judge(const Position* positions, int32_t count, LabelWords g, double splitShare, Sums* sums,
      KidneyVerdict* verdicts) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  KidneyPosition position{0, 0, 0};
  KidneyVerdict verdict;
  if (i < count) {
    position = positionOf(positions + i);
    verdict = kidneyVerdict(position, midlineOf(sums, g), splitShare);
    st(verdicts + i, verdict);
  }
  for (int k = 0; k < 2; ++k) {
    const uint8_t side = k == 0 ? kLeftSide : kRightSide;
    const auto part = static_cast<uint64_t>(voxelsOfSide(position, verdict, side));
    const uint64_t most = reduceBlock<Maximum>(part, uint64_t{0}, sharedMemory<uint64_t>());
    syncBlock();
    if (threadIdx.x == 0) atomicMax(sums->most + k, most);
  }
}

RVX_KERNEL(kLabelThreads)
drop(const Position* positions, int32_t count, int64_t minimum, double keepShare, const Sums* sums,
     KidneyVerdict* verdicts) {
  const int64_t i = int64_t{blockIdx.x} * kLabelThreads + threadIdx.x;
  if (i >= count) return;
  const KidneyPosition position = positionOf(positions + i);
  KidneyVerdict verdict = ld(verdicts + i);
  for (int k = 0; k < 2; ++k) {
    const uint8_t side = k == 0 ? kLeftSide : kRightSide;
    const auto most = static_cast<int64_t>(ld(sums->most + k));
    if (!isCrumb(voxelsOfSide(position, verdict, side), minimum, keepShare, most)) continue;
    if (verdict.left == side) verdict.left = 0;
    if (verdict.right == side) verdict.right = 0;
  }
  st(verdicts + i, verdict);
}

RVX_KERNEL(kLabelThreads)
write(const int32_t* components, LabelWords g, int32_t count, const Sums* sums,
      const KidneyVerdict* verdicts, uint8_t* sides, int32_t* table) {
  auto* rows = sharedMemory<int32_t>();
  const auto t = static_cast<int>(threadIdx.x), lane = t % 32;
  if (t < 2 * kColumns) sts(rows + t, emptyColumn(t % kColumns));
  syncBlock();
  const int32_t middle = middleOf(sums, g);
  const int64_t step = int64_t{gridDim.x} * kLabelWarps, strips = g.allStrips();
  RowSums left, right;
  for (int64_t s = int64_t{blockIdx.x} * kLabelWarps + t / 32; s < strips; s += step) {
    const Strip strip(g, static_cast<int32_t>(s));
    const int32_t d = strip.row / g.height, h = strip.row - d * g.height;
    forEachWord(g, strip, components, [&](int32_t word, int32_t value) {
      const int32_t w = word * kWordVoxels + lane;
      uint8_t side = 0;
      if (value > 0 && value <= count) {
        const KidneyVerdict verdict = ld(verdicts + value - 1);
        side = w < middle ? verdict.right : verdict.left;
      }
      if (w < g.width) st(sides + int64_t{strip.row} * g.width + w, side);
      forEachRunOfWord(word, side, [&](int32_t begin, int32_t end, int32_t v) {
        if (v == kLeftSide)
          left.add(g, d, h, begin, end);
        else
          right.add(g, d, h, begin, end);
      });
    });
  }
  left.mergeWarpInto(rows);
  right.mergeWarpInto(rows + kColumns);
  syncBlock();
  if (t < 2 * kColumns && lds(rows + t / kColumns * kColumns) != 0)
    mergeColumn(table + t / kColumns * kColumns, t % kColumns, lds(rows + t));
}

}  // namespace

template <>
void run(const KidneySides& op, Context& cx) {
  const LabelWords g(volumeSize(op.components.shape(), "components"));
  const auto* components = op.components.data<int32_t>();
  const int32_t count = std::max(0, readBack(cx, op.count.data<int32_t>()));
  const auto n = static_cast<size_t>(count);
  const size_t summed = sizeof(Sums) + n * sizeof(Position);
  const Workspace space(cx, summed + n * sizeof(KidneyVerdict));
  auto* sums = space.data<Sums>();
  auto* positions = reinterpret_cast<Position*>(sums + 1);
  auto* verdicts = reinterpret_cast<KidneyVerdict*>(positions + n);
  cx.device.fillZero(sums, summed);

  const unsigned blocks = labelBlocks(g), each = blocksFor(count, kLabelThreads);
  const size_t reduce = 32 * sizeof(uint64_t);
  const auto gatherBody = [&](const auto* image) {
    using T = std::decay_t<decltype(*image)>;
    launch(cx, "kidneySides/body", blocks, kLabelThreads, reduce, &body<T>, image, g,
           op.bodyThreshold, sums);
  };
  if (op.image.dtype() == DType::i16)
    gatherBody(op.image.data<int16_t>());
  else
    gatherBody(op.image.data<float>());
  launch(cx, "kidneySides/gather", blocks, kLabelThreads,
         kSlots * (sizeof(Position) + sizeof(int32_t)), &gather, components, g, count, sums,
         positions);
  launch(cx, "kidneySides/judge", each, kLabelThreads, reduce, &judge, positions, count, g,
         op.splitShare, sums, verdicts);
  launch(cx, "kidneySides/drop", each, kLabelThreads, 0, &drop, positions, count,
         std::max<int64_t>(op.minimumVoxels, 1), op.keepShare, sums, verdicts);

  auto* table = op.table.data<int32_t>();
  launch(cx, "kidneySides/clear", 1u, kLabelThreads, 0, &clearRows<int32_t>, table, int64_t{2});
  launch(cx, "kidneySides/write", blocks, kLabelThreads, 2 * kColumns * sizeof(int32_t), &write,
         components, g, count, sums, verdicts, op.sides.data<uint8_t>(), table);
  launch(cx, "kidneySides/finish", 1u, kLabelThreads, 0, &finishRows<int32_t>, table, int64_t{2});
}

}  // namespace rvx::cuda
