// componentTable: size, box and first voxel of every component, and of the whole foreground in row 0 (columns in ops/labels.h).
//
// A block gathers runs in a table of kSlots labels in shared memory (a label's slot is its remainder; one whose slot is taken goes to
// global memory run by run) and merges it once into the global one; the whole foreground is gathered in registers. Least bytes: one read of
// the map. Eight atomics a run; worst: many labels side by side that share slots. No FLOPs: about ten integer operations a run beside its
// atomics.
//
// Limits: fewer than 2^31 voxels (ops/labels.h), so that places and sizes are int32; capacity below 2^24, a row of 32 bytes each; labels beyond
// it, and negative ones, count in row 0 alone.
#include "cuda/componentRows.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kSlots = 64;

template <class T>
RVX_KERNEL(kLabelThreads)
gather(const T* labels, LabelWords g, int32_t capacity, int32_t* table) {
  auto* rows = sharedMemory<int32_t>();  // row kSlots: the whole foreground
  auto* keys = rows + (kSlots + 1) * kColumns;
  for (int i = static_cast<int>(threadIdx.x); i < (kSlots + 1) * kColumns; i += kLabelThreads)
    sts(rows + i, emptyColumn(i % kColumns));
  if (threadIdx.x < kSlots) sts(keys + threadIdx.x, int32_t{0});
  syncBlock();
  RowSums whole;
  forEachLabelRun(g, labels, [&](int32_t d, int32_t h, int32_t begin, int32_t end, int32_t value) {
    whole.add(g, d, h, begin, end);
    if (value <= 0 || value > capacity) return;
    RowSums run;
    run.add(g, d, h, begin, end);
    const int slot = claimSlot(keys, kSlots, value);
    run.mergeInto(slot < 0 ? table + int64_t{value} * kColumns : rows + slot * kColumns);
  });
  whole.mergeWarpInto(rows + kSlots * kColumns);
  syncBlock();
  for (int i = static_cast<int>(threadIdx.x); i < (kSlots + 1) * kColumns; i += kLabelThreads) {
    const int slot = i / kColumns;
    if (lds(rows + slot * kColumns) == 0) continue;
    const int64_t row = slot < kSlots ? lds(keys + slot) : 0;
    mergeColumn(table + row * kColumns, i % kColumns, lds(rows + i));
  }
}

}  // namespace

template <>
void run(const ComponentTable& op, Context& cx) {
  const LabelWords g(volumeSize(op.components.shape(), "components"));
  const int64_t rows = op.capacity + 1;
  auto* table = op.table.data<int32_t>();
  launch(cx, "componentTable/clear", blocksFor(rows * kColumns, kLabelThreads), kLabelThreads, 0,
         &clearRows<int32_t>, table, rows);
  const size_t shared = ((kSlots + 1) * kColumns + kSlots) * sizeof(int32_t);
  withLabelType(op.components, [&](auto* labels) {
    using T = std::decay_t<decltype(*labels)>;
    launch(cx, "componentTable/gather", labelBlocks(g), kLabelThreads, shared, &gather<T>, labels,
           g, static_cast<int32_t>(op.capacity), table);
  });
  launch(cx, "componentTable/finish", blocksFor(rows, kLabelThreads), kLabelThreads, 0,
         &finishRows<int32_t>, table, rows);
}

}  // namespace rvx::cuda
