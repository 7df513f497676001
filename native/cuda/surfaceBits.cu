// The first half of surfaceDistances: both masks as bits, their voxels and joint box, their surfaces, the rank of every surface voxel.
//
// A surface word is m & ~(left & right & up & down & front & behind), 32 voxels by some 15 operations; outside the volume is
// background. For elements the words are of cells, surfaceCells.h, on a grid with one more along each axis. Bytes a voxel: each mask
// once, then 1/8 for a pass over its bits (three over the volume's, four over the box's). No FLOPs.
//
// The box is read back, 36 bytes: the workspaces that follow, about 14 bytes a voxel, then fit it and not the volume, of which a
// kidney fills a hundredth. Ranks are sums of popcounts: of blocks of 2048 words, over the blocks, then inside each block.
//
// Limits: fewer than 2^31 voxels (ops/labels.h); for elements also of the volume's cells, one more along each axis (checked at the
// operation, of the box here): ranks and places are int32. Labels 1 to 255. The blocks' sums are added by one block a side.
#include "cuda/reduce.h"
#include "cuda/surfaceBits.h"
#include "cuda/surfaceCells.h"
#include "cuda/surfaceElements.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWords = 8;  // of a thread
constexpr int kBlock = kThreads * kWords;
constexpr int64_t kExtentBlocks = 1024;

// Which values are foreground.
struct Membership {
  uint32_t of[8] = {};
  bool all;  // every value but 0

  explicit Membership(const std::vector<double>& labels) : all(labels.empty()) {
    for (double label : labels)
      if (label >= 1 && label <= 255) {
        const auto value = static_cast<uint32_t>(label);
        of[value / 32] |= 1u << (value % 32);
      }
  }
  template <class T>
  RVX_DEVICE bool operator()(T value) const {
    const auto v = static_cast<int32_t>(value);
    if (all) return v != 0;
    return v >= 0 && v < 256 && (of[v >> 5] >> (v & 31) & 1u) != 0;
  }
};

// What the host reads back. `least` is counted from the volume's far end, so that zeros are neutral for all of it.
struct Extent {
  int32_t voxels[2], both;
  int32_t end[3], least[3];  // d, h, word
};
constexpr int kSums = 3, kExtentFields = 9;

RVX_KERNEL(kThreads)
extent(const uint32_t* masks, int64_t words, int depth, int height, int rowWords, int32_t* out) {
  const int size[3] = {depth, height, rowWords};
  int32_t found[kExtentFields] = {};
  const int64_t step = int64_t{gridDim.x} * kThreads;
  for (int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x; i < words; i += step) {
    const uint32_t a = ld(masks + i), b = ld(masks + words + i);
    if ((a | b) == 0) continue;
    found[0] += popcount(a), found[1] += popcount(b), found[2] += popcount(a & b);
    const int row = static_cast<int>(i / rowWords);
    const int at[3] = {row / height, row % height, static_cast<int>(i - int64_t{row} * rowWords)};
    RVX_UNROLL
    for (int k = 0; k < 3; ++k) {
      const int32_t end = at[k] + 1, least = size[k] - at[k];
      found[kSums + k] = Maximum()(found[kSums + k], end);
      found[kSums + 3 + k] = Maximum()(found[kSums + 3 + k], least);
    }
  }
  auto* scratch = sharedMemory<int32_t>();
  RVX_UNROLL
  for (int k = 0; k < kExtentFields; ++k) {
    const int32_t all = k < kSums ? sumBlock(found[k], scratch)
                                  : reduceBlock<Maximum>(found[k], int32_t{0}, scratch);
    if (threadIdx.x != 0 || all == 0) continue;
    if (k < kSums)
      atomicAdd(out + k, all);
    else
      atomicMax(out + k, all);
  }
}

RVX_DEVICE uint32_t surfaceWord(const uint32_t* mask, const SurfaceBox& box, int64_t i) {
  const int row = static_cast<int>(i / box.size[2]);
  const int c = box.low[2] + static_cast<int>(i - int64_t{row} * box.size[2]);
  const int d = box.low[0] + row / box.size[1], h = box.low[1] + row % box.size[1];
  const uint32_t m = wordAt(mask, box, d, h, c);
  if (m == 0) return 0;
  const uint32_t left = m << 1 | wordAt(mask, box, d, h, c - 1) >> 31;
  const uint32_t right = m >> 1 | wordAt(mask, box, d, h, c + 1) << 31;
  const uint32_t inner = left & right & wordAt(mask, box, d, h - 1, c) &
                         wordAt(mask, box, d, h + 1, c) & wordAt(mask, box, d - 1, h, c) &
                         wordAt(mask, box, d + 1, h, c);
  return m & ~inner;
}

// blockIdx.y is the side, in all that follows. sums [2, blocks]: the surface voxels, or elements, of each block.
template <bool kElements>
RVX_KERNEL(kThreads)
surfaces(const uint32_t* masks, int64_t maskWords, SurfaceBox box, uint32_t* bits, int32_t* sums) {
  const int64_t words = box.words(), side = blockIdx.y;
  int32_t count = 0;
  RVX_UNROLL
  for (int k = 0; k < kWords; ++k) {
    const int64_t i = int64_t{blockIdx.x} * kBlock + k * kThreads + threadIdx.x;
    if (i >= words) continue;
    const uint32_t* mask = masks + side * maskWords;
    const uint32_t word = kElements ? cellsAt(mask, box, i).surface() : surfaceWord(mask, box, i);
    st(bits + side * words + i, word);
    count += popcount(word);
  }
  count = sumBlock(count, sharedMemory<int32_t>());
  if (threadIdx.x == 0) st(sums + side * gridDim.x + blockIdx.x, count);
}

// The sum of the threads before this one, and of all. `scratch` as for reduceBlock.
RVX_DEVICE int32_t sumBefore(int32_t value, int32_t* scratch, int32_t& total) {
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  int32_t sum = value, before = 0;
  for (int by = 1; by < 32; by *= 2) {
    const int32_t other = shuffleUp(sum, by);
    if (lane >= by) sum += other;
  }
  if (lane == 31) sts(scratch + warp, sum);
  syncBlock();
  total = 0;
  for (int i = 0; i < kThreads / 32; ++i) {
    const int32_t other = lds(scratch + i);
    if (i < warp) before += other;
    total += other;
  }
  syncBlock();
  return before + sum - value;
}

// sums [2, blocks] become the sums before each block; one block a side.
RVX_KERNEL(kThreads) sumBlocks(int32_t* sums, int blocks, int32_t* counts) {
  int32_t* mine = sums + int64_t{blockIdx.y} * blocks;
  int32_t before = 0;
  for (int first = 0; first < blocks; first += kThreads) {
    const int i = first + static_cast<int>(threadIdx.x);
    int32_t total;
    const int32_t own = sumBefore(i < blocks ? ld(mine + i) : 0, sharedMemory<int32_t>(), total);
    if (i < blocks) st(mine + i, before + own);
    before += total;
  }
  if (threadIdx.x == 0) st(counts + blockIdx.y, before);
}

RVX_KERNEL(kThreads)
ranks(const uint32_t* bits, int64_t words, const int32_t* sums, int32_t* before) {
  const int64_t side = blockIdx.y;
  const int64_t first = int64_t{blockIdx.x} * kBlock + int64_t{threadIdx.x} * kWords;
  const uint32_t* from = bits + side * words;
  int32_t* to = before + side * words;
  int32_t counts[kWords], sum = 0, total;
  RVX_UNROLL
  for (int k = 0; k < kWords; ++k) {
    counts[k] = first + k < words ? popcount(ld(from + first + k)) : 0;
    sum += counts[k];
  }
  int32_t rank =
      ld(sums + side * gridDim.x + blockIdx.x) + sumBefore(sum, sharedMemory<int32_t>(), total);
  RVX_UNROLL
  for (int k = 0; k < kWords; ++k) {
    if (first + k < words) st(to + first + k, rank);
    rank += counts[k];
  }
}

RVX_KERNEL(kThreads)
anyPlane(const uint32_t* bits, SurfaceBox box, uint32_t* columns) {
  const int count = box.size[1] * box.size[2];
  const int i = static_cast<int>(blockIdx.x * kThreads + threadIdx.x);
  if (i >= count) return;
  const uint32_t* from = bits + blockIdx.y * box.words() + i;
  uint32_t any = 0;
  for (int d = 0; d < box.size[0]; ++d) any |= ld(from + int64_t{d} * count);
  st(columns + int64_t{blockIdx.y} * count + i, any);
}

}  // namespace

Surfaces::Surfaces(const SurfaceDistances& op, Context& cx) : counts_(cx, 2 * sizeof(int32_t)) {
  const Int3 size = volumeSize(op.a.shape(), "a");
  const BitRows rows(size[0] * size[1], size[2]);
  box_.grid[0] = static_cast<int>(size[0]), box_.grid[1] = static_cast<int>(size[1]);
  box_.grid[2] = rows.words;
  box_.width = rows.width;
  gpu(cx).fill(counts_.data<void>(), 0, 2 * sizeof(int32_t));
  if (rows.size() == 0) return;
  Workspace masks(cx, static_cast<size_t>(2 * rows.size()) * sizeof(uint32_t));
  auto* bits = masks.data<uint32_t>();
  const Membership member(op.labels);
  packMask(cx, "surfaceDistances/bits", op.a, member, rows, bits);
  packMask(cx, "surfaceDistances/bits", op.b, member, rows, bits + rows.size());
  findBox(bits, rows, cx);
  if (box_.words() == 0) return;
  most_ = std::max(voxels_[0], voxels_[1]);
  if (op.elements()) {
    const int64_t rows = (int64_t{box_.size[0]} + 1) * (int64_t{box_.size[1]} + 1);
    require(rows <= INT32_MAX && rows * (int64_t{box_.width} + 1) <= INT32_MAX, "ShapeMismatch",
            "Expected a box of fewer than 2^31 cells but received " + std::to_string(rows) +
                " rows of " + std::to_string(int64_t{box_.width} + 1));
    ++box_.size[0], ++box_.size[1], ++box_.width;
    box_.size[2] = (box_.width + 31) / 32;
    most_ = std::min(kCellsOfVoxel * most_, box_.voxels());
  }
  findSurfaces(bits, rows, op.elements(), cx);
}

void Surfaces::findBox(const uint32_t* masks, const BitRows& rows, Context& cx) {
  static_assert(sizeof(Extent) == kExtentFields * sizeof(int32_t), "the kernel's fields");
  Workspace space(cx, sizeof(Extent));
  gpu(cx).fill(space.data<void>(), 0, sizeof(Extent));
  const unsigned blocks =
      blocksFor(std::min<int64_t>(rows.size(), kExtentBlocks * kThreads), kThreads);
  launch(cx, "surfaceDistances/extent", blocks, kThreads, 32 * sizeof(int32_t), &extent, masks,
         rows.size(), box_.grid[0], box_.grid[1], box_.grid[2], space.data<int32_t>());
  Extent found;
  cx.device.copyOut(&found, space.data<void>(), sizeof found);
  cx.device.transfers.readbacks++;
  cx.device.transfers.readbackBytes += sizeof found;
  voxels_[0] = found.voxels[0], voxels_[1] = found.voxels[1], both_ = found.both;
  if (voxels_[0] + int64_t{voxels_[1]} == 0) return;
  for (int k = 0; k < 3; ++k) {
    box_.low[k] = box_.grid[k] - found.least[k];
    box_.size[k] = found.end[k] - box_.low[k];
  }
  box_.width = std::min(32 * found.end[2], rows.width) - 32 * box_.low[2];
}

void Surfaces::findSurfaces(const uint32_t* masks, const BitRows& rows, bool elements,
                            Context& cx) {
  const int64_t words = box_.words(), columns = int64_t{box_.size[1]} * box_.size[2];
  bits_.emplace(cx, static_cast<size_t>(2 * words) * sizeof(uint32_t));
  before_.emplace(cx, static_cast<size_t>(2 * words) * sizeof(int32_t));
  columns_.emplace(cx, static_cast<size_t>(2 * columns) * sizeof(uint32_t));
  const unsigned blocks = blocksFor(words, kBlock);
  Workspace sumSpace(cx, 2 * blocks * sizeof(int32_t));
  auto *bits = bits_->data<uint32_t>(), *any = columns_->data<uint32_t>();
  auto *sums = sumSpace.data<int32_t>(), *counts = counts_.data<int32_t>();
  const size_t shared = 32 * sizeof(int32_t);
  launch(cx, "surfaceDistances/surfaces", Dim3{blocks, 2, 1}, kThreads, shared,
         elements ? &surfaces<true> : &surfaces<false>, masks, rows.size(), box_, bits, sums);
  launch(cx, "surfaceDistances/blocks", Dim3{1, 2, 1}, kThreads, shared, &sumBlocks, sums,
         static_cast<int>(blocks), counts);
  launch(cx, "surfaceDistances/ranks", Dim3{blocks, 2, 1}, kThreads, shared, &ranks, bits, words,
         sums, before_->data<int32_t>());
  launch(cx, "surfaceDistances/columns", Dim3{blocksFor(columns, kThreads), 2, 1}, kThreads, 0,
         &anyPlane, bits, box_, any);
  if (!elements) return;
  codes_.emplace(cx, static_cast<size_t>(2 * most_));
  for (int side = 0; side < 2; ++side)
    elementCodes(cx, masks + side * rows.size(), box_, this->bits(side), before(side),
                 codes_->data<uint8_t>() + side * most_);
}

}  // namespace rvx::cuda
