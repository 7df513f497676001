// keepComponents: the largest components, renumbered by size; with a core, those with enough of it: its voxels are counted as
// sizes are, and the sizes of components with too few become 0.
//
// Sizes are gathered in shared memory by kSlots labels a block (componentTable.cu), then added to the global ones. A component's
// rank is the number of components before it, larger or as large with a lower number: counted, up to kCounted of them (n^2
// comparisons), else by a sort. Least bytes: two reads of the map, one write. No FLOPs. The number of components is read back, since the
// memory depends on it.
//
// Limits: i32 components of fewer than 2^31 voxels (ops/labels.h), largest up to 2^24 (lib/ops/keepComponents.ts). Workspace: 8 bytes a
// component, 12 with a core, 12 more where they are sorted (radixSort.h). The host waits for the read-back.
#include "cuda/componentRows.h"
#include "cuda/map.h"
#include "cuda/radixSort.h"
#include "cuda/readBack.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kSlots = 256;
constexpr int64_t kCounted = 8192;

// sizes[i] is component i + 1's: of its voxels, or of those in the core.
RVX_KERNEL(kLabelThreads)
gatherSizes(const int32_t* components, const uint8_t* core, LabelWords g, int32_t count,
            int32_t* sizes) {
  static_assert(kSlots == kLabelThreads, "a thread begins and ends one slot");
  auto* keys = sharedMemory<int32_t>();
  auto* voxels = keys + kSlots;
  sts(keys + threadIdx.x, int32_t{0});
  sts(voxels + threadIdx.x, int32_t{0});
  syncBlock();
  forEachLabelRun(g, components,
                  [&](int32_t d, int32_t h, int32_t begin, int32_t end, int32_t value) {
                    if (value <= 0 || value > count) return;
                    int32_t n = end - begin;
                    if (core) {
                      const int64_t row = (int64_t{d} * g.height + h) * g.width;
                      n = 0;
                      for (int32_t w = begin; w < end; ++w) n += ld(core + row + w) != 0;
                    }
                    const int slot = claimSlot(keys, kSlots, value);
                    atomicAdd(slot < 0 ? sizes + value - 1 : voxels + slot, n);
                  });
  syncBlock();
  const int32_t found = lds(voxels + threadIdx.x);
  if (found) atomicAdd(sizes + lds(keys + threadIdx.x) - 1, found);
}

RVX_KERNEL(kLabelThreads)
dropWeak(const int32_t* core, double leastShare, int32_t count, int32_t* sizes) {
  const int32_t i = static_cast<int32_t>(blockIdx.x) * kLabelThreads + threadIdx.x;
  if (i < count && ld(core + i) < leastShare * ld(sizes + i)) st(sizes + i, int32_t{0});
}

struct Kept {
  int32_t minimum;
  int64_t largest;
  int32_t *rank, *voxels;

  // Component i of this size is the place-th, from 0 on.
  RVX_DEVICE void put(int32_t i, int32_t size, int64_t place) const {
    const bool kept = size >= minimum && place < largest;
    st(rank + i, kept ? static_cast<int32_t>(place + 1) : 0);
    if (kept) st(voxels + place, size);
  }
};

RVX_KERNEL(kLabelThreads) rankByCounting(const int32_t* sizes, int32_t count, Kept kept) {
  auto* others = sharedMemory<int32_t>();
  const auto t = static_cast<int32_t>(threadIdx.x);
  const int32_t i = static_cast<int32_t>(blockIdx.x) * kLabelThreads + t;
  const int32_t size = i < count ? ld(sizes + i) : 0;
  int32_t before = 0;
  for (int32_t first = 0; first < count; first += kLabelThreads) {
    sts(others + t, first + t < count ? ld(sizes + first + t) : -1);
    syncBlock();
    for (int32_t k = 0; k < kLabelThreads; ++k) {
      const int32_t other = lds(others + k);
      before += other > size || (other == size && first + k < i);
    }
    syncBlock();
  }
  if (i < count) kept.put(i, size, before);
}

RVX_KERNEL(kLabelThreads) countUp(int32_t* values, int32_t count) {
  const int32_t i = static_cast<int32_t>(blockIdx.x) * kLabelThreads + threadIdx.x;
  if (i < count) st(values + i, i);
}
RVX_KERNEL(kLabelThreads)
rankBySort(const int32_t* sizes, const int32_t* order, int32_t count, Kept kept) {
  const int32_t i = static_cast<int32_t>(blockIdx.x) * kLabelThreads + threadIdx.x;
  if (i < count) kept.put(ld(order + i), ld(sizes + i), i);
}

template <class T>
struct RankOf {
  const int32_t* rank;
  int32_t count;
  RVX_DEVICE T operator()(int32_t component) const {
    return component > 0 && component <= count ? static_cast<T>(ld(rank + component - 1)) : T{0};
  }
};

template <class T>
void keep(const KeepComponents& op, Context& cx) {
  const LabelWords g(volumeSize(op.components.shape(), "components"));
  const auto* components = op.components.data<int32_t>();
  const int32_t count = std::max(0, readBack(cx, op.count.data<int32_t>()));
  auto* voxels = op.voxels.data<int32_t>();
  cx.device.fillZero(voxels, static_cast<size_t>(op.largest) * sizeof(int32_t));

  const auto n = static_cast<size_t>(count);
  const Workspace space(cx, std::max<size_t>(n, 1) * 2 * sizeof(int32_t));
  auto *sizes = space.data<int32_t>(), *rank = sizes + n;
  const int64_t voxelCount = op.components.shape().size();
  const Kept kept{static_cast<int32_t>(std::clamp<int64_t>(op.minimumVoxels, 1, INT32_MAX)),
                  op.largest, rank, voxels};
  const unsigned blocks = blocksFor(count, kLabelThreads);
  if (count > 0) {
    cx.device.fillZero(sizes, n * sizeof(int32_t));
    const auto gather = [&](const uint8_t* core, int32_t* into) {
      launch(cx, "keepComponents/sizes", labelBlocks(g), kLabelThreads,
             2 * kSlots * sizeof(int32_t), &gatherSizes, components, core, g, count, into);
    };
    gather(nullptr, sizes);
    if (op.core) {
      const Workspace strong(cx, n * sizeof(int32_t));
      cx.device.fillZero(strong.data<int32_t>(), n * sizeof(int32_t));
      gather(op.core.data<uint8_t>(), strong.data<int32_t>());
      launch(cx, "keepComponents/dropWeak", blocks, kLabelThreads, 0, &dropWeak,
             strong.data<int32_t>(), op.leastShare, count, sizes);
    }
  }
  if (count <= kCounted) {
    launch(cx, "keepComponents/rankByCounting", blocks, kLabelThreads,
           kLabelThreads * sizeof(int32_t), &rankByCounting, sizes, count, kept);
  } else {
    const Workspace pairs(cx, n * 3 * sizeof(int32_t));
    auto *order = pairs.data<int32_t>(), *otherSizes = order + n, *otherOrder = otherSizes + n;
    launch(cx, "keepComponents/order", blocks, kLabelThreads, 0, &countUp, order, count);
    int bits = 1;
    while (voxelCount >> bits) ++bits;
    const auto sorted =
        radixSort<int32_t>(cx, {sizes, order}, {otherSizes, otherOrder}, count, bits);
    launch(cx, "keepComponents/rankBySort", blocks, kLabelThreads, 0, &rankBySort, sorted.keys,
           sorted.values, count, kept);
  }
  launchMap(cx, "keepComponents/write", RankOf<T>{rank, count}, voxelCount, op.kept.data<T>(),
            components);
}

}  // namespace

template <>
void run(const KeepComponents& op, Context& cx) {
  if (op.kept.dtype == DType::u8)
    keep<uint8_t>(op, cx);
  else
    keep<int32_t>(op, cx);
}

}  // namespace rvx::cuda
