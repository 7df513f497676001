// overlapCounts: counts[i, j] = voxels where a is i and b is j, all pairs of labels in one pass (ops/labels.h).
//
// A thread takes packets of both maps and counts stretches of the same pair in a register: most voxels are background in both maps, and
// a packet of nothing else costs one comparison. Where a stretch ends it goes to the block's table in shared memory, or, where that
// would be larger than kSharedCells (more than 109 labels), to the global one; the last cell is for pairs outside. Counts are
// integers: any order. Least bytes: one read of each map. No FLOPs. Worst: maps of noise, an atomic a voxel, of few labels most of all, whose
// threads meet at few cells.
//
// Limits: 1 to 256 labels of maps of one size, fewer than 2^31 voxels (ops/labels.h, lib/ops/label-map.ts); counts are exact as f64. Workspace: 8
// bytes a pair of labels.
#include <algorithm>
#include <cstring>

#include "cuda/labelWords.h"
#include "cuda/map.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int64_t kBlocks = 1024;
constexpr int64_t kSharedCells = 12000;

template <int N, class T>
RVX_DEVICE bool isZero(const Packet<T, N>& packet) {
  uint32_t words[sizeof packet / sizeof(uint32_t)], some = 0;
  std::memcpy(words, &packet, sizeof packet);
  RVX_UNROLL
  for (const uint32_t word : words) some |= word;
  return some == 0;
}

// This thread's stretch of one pair, and where stretches go.
struct Stretch {
  uint64_t* counts;
  uint32_t* own;  // in shared memory, or nullptr
  int32_t labels;
  int32_t cell = 0;
  uint32_t length = 0;

  RVX_DEVICE Stretch(uint64_t* c, uint32_t* o, int32_t n) : counts(c), own(o), labels(n) {}

  RVX_DEVICE void flush() {
    if (length == 0) return;
    if (own)
      atomicAdd(own + cell, length);
    else
      atomicAdd(counts + cell, uint64_t{length});
    length = 0;
  }
  RVX_DEVICE void extend(int32_t to, uint32_t voxels) {
    if (to != cell) flush();
    cell = to;
    length += voxels;
  }
  template <class A, class B>
  RVX_DEVICE void add(A a, B b) {
    const auto i = static_cast<int32_t>(a), j = static_cast<int32_t>(b);
    const bool inside = i >= 0 && i < labels && j >= 0 && j < labels;
    extend(inside ? i * labels + j : labels * labels, 1);
  }
};

template <class A, class B>
RVX_KERNEL(kThreads)
count(const A* a, const B* b, int64_t size, int32_t labels, bool inShared, uint64_t* counts) {
  constexpr int kN = packetLength<A, B>();
  auto* own = sharedMemory<uint32_t>();
  const int32_t cells = labels * labels + 1;
  if (inShared) {
    for (auto i = static_cast<int32_t>(threadIdx.x); i < cells; i += kThreads)
      sts(own + i, uint32_t{0});
    syncBlock();
  }
  Stretch stretch(counts, inShared ? own : nullptr, labels);
  const int64_t step = int64_t{gridDim.x} * (kThreads * kN);
  int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kN;
  for (; at + kN <= size; at += step) {
    const auto x = ldPacket<kN>(a + at);
    const auto y = ldPacket<kN>(b + at);
    if (isZero(x) && isZero(y)) {
      stretch.extend(0, kN);
    } else {
      for (int i = 0; i < kN; ++i) stretch.add(x.value[i], y.value[i]);
    }
  }
  // At most one thread comes here with values left: the packet that the maps' end cuts.
  for (; at < size; ++at) stretch.add(ld(a + at), ld(b + at));
  stretch.flush();
  if (!inShared) return;
  syncBlock();
  for (auto i = static_cast<int32_t>(threadIdx.x); i < cells; i += kThreads)
    if (const uint32_t found = lds(own + i)) atomicAdd(counts + i, uint64_t{found});
}

struct AsDouble {
  RVX_DEVICE double operator()(uint64_t n) const {
    return static_cast<double>(static_cast<int64_t>(n));
  }
};

}  // namespace

template <>
void run(const OverlapCounts& op, Context& cx) {
  const int64_t size = op.a.shape().size(), cells = op.labels * op.labels;
  const size_t bytes = static_cast<size_t>(cells + 1) * sizeof(uint64_t);
  const Workspace space(cx, bytes);
  auto* counts = space.data<uint64_t>();
  cx.device.fillZero(counts, bytes);
  const bool inShared = cells < kSharedCells;
  const size_t shared = inShared ? static_cast<size_t>(cells + 1) * sizeof(uint32_t) : 0;
  withLabelType(op.a, [&](auto* a) {
    withLabelType(op.b, [&](auto* b) {
      using A = std::decay_t<decltype(*a)>;
      using B = std::decay_t<decltype(*b)>;
      constexpr int64_t kEach = int64_t{kThreads} * packetLength<A, B>();
      launch(cx, "overlapCounts/count", blocksFor(std::min(size, kBlocks * kEach), kEach), kThreads,
             shared, &count<A, B>, a, b, size, static_cast<int32_t>(op.labels), inShared, counts);
    });
  });
  launchMap(cx, "overlapCounts/counts", AsDouble{}, cells, op.counts.data<double>(), counts);
  launchMap(cx, "overlapCounts/outside", AsDouble{}, 1, op.outside.data<double>(), counts + cells);
}

}  // namespace rvx::cuda
