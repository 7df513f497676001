// surfaceDistances of surface elements: their codes, and figures weighted by area.
//
// An area is a sum over the 256 codes of how many elements have each, counted in shared memory by atomics on integers and added by a fixed
// tree. A percentile is a radix select on the bits of the distances, eight digits of eight bits, whose histograms hold integer weights
// (math/surfaceElements.h): no order of adding changes them. The sum of distance times area is one of doubles, in a fixed order. A block
// for each figure; a surface has some 10^4 to 10^6 elements, 9 bytes each, which stay in the cache. FLOPs: three an element, in double;
// figures read its bytes once, a percentile eight times.
// Source: google-deepmind/surface-distance (math/surfaceElements.h). Codes: a thread a word of cells.
//
// Limits: surfaceBits.cu's. A figure is one block's work; its counters are shared by all elements of one code or digit, which wait for each other.
#include <cstring>

#include "cuda/reduce.h"
#include "cuda/scan.h"
#include "cuda/surfaceCells.h"
#include "cuda/surfaceElements.h"

namespace rvx::cuda {
namespace {

constexpr int kCodeThreads = 256;
constexpr int kFigureThreads = 512;
constexpr int kCodes = 256;

RVX_KERNEL(kCodeThreads)
writeCodes(const uint32_t* mask, SurfaceBox box, const uint32_t* bits, const int32_t* before,
           uint8_t* codes) {
  const int64_t i = int64_t{blockIdx.x} * kCodeThreads + threadIdx.x;
  if (i >= box.words()) return;
  uint32_t left = ld(bits + i);
  if (left == 0) return;
  const Cells cells = cellsAt(mask, box, i);
  for (uint8_t* out = codes + ld(before + i); left != 0; left &= left - 1)
    st(out++, static_cast<uint8_t>(cells.code(trailingZeros(left))));
}

// The elements of one surface.
struct Elements {
  const uint8_t* codes;
  const int32_t* count;
};
struct AreaTables {
  const double* mm2;
  const uint64_t* weights;
};

// Of shared memory, in bytes: scratch of reductions, a counter for each code or digit, the digit found and the weight before it.
constexpr unsigned kCounters = 32 * sizeof(double), kFound = kCounters + kCodes * sizeof(uint64_t),
                   kShared = kFound + 2 * sizeof(uint64_t);

// By the whole block: how many of the elements with wanted(i) have code threadIdx.x; 0 behind the last code.
template <class Wanted>
RVX_DEVICE uint32_t countCode(const uint8_t* codes, int count, Wanted&& wanted) {
  auto* counters = sharedMemory<uint32_t>(kCounters);
  if (threadIdx.x < kCodes) sts(counters + threadIdx.x, 0u);
  syncBlock();
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads)
    if (wanted(i)) atomicAdd(counters + ld(codes + i), 1u);
  syncBlock();
  return threadIdx.x < kCodes ? lds(counters + threadIdx.x) : 0;
}

// By the whole block. counted: as countCode gives it.
RVX_DEVICE double sumAreas(uint32_t counted, const double* mm2) {
  const double area = threadIdx.x < kCodes ? counted * ld(mm2 + threadIdx.x) : 0;
  return sumBlock(area, sharedMemory<double>());
}

// A block a side. totals [2]: the surfaces' weights.
RVX_KERNEL(kFigureThreads)
surfaceAreas(Elements a, Elements b, AreaTables areas, uint64_t* totals, double* summary) {
  const bool first = blockIdx.x == 0;
  const uint32_t counted =
      countCode(first ? a.codes : b.codes, ld(first ? a.count : b.count), [](int) { return true; });
  const double area = sumAreas(counted, areas.mm2);
  const uint64_t weight = threadIdx.x < kCodes ? counted * ld(areas.weights + threadIdx.x) : 0;
  const uint64_t total = sumBlock(weight, sharedMemory<uint64_t>());
  if (threadIdx.x != 0) return;
  st(totals + blockIdx.x, total);
  st(summary + kAreaA + blockIdx.x, area);
}

// By the first warp: the digit at which the share of the weight is reached, and the weight before it.
RVX_DEVICE void findDigit(const uint64_t* weights, uint64_t before, uint64_t total, double share,
                          uint64_t* found) {
  const int lane = static_cast<int>(threadIdx.x);
  uint64_t own = 0;
  for (int k = 0; k < 8; ++k) own += lds(weights + 8 * lane + k);
  const uint64_t here = before + inclusiveScanWarp(own);
  const uint32_t reached = ballot(own > 0 && reaches(here, total, share));
  if (reached == 0 || lane != trailingZeros(reached)) return;
  uint64_t sum = here - own;
  for (int k = 0; k < 8; ++k) {
    const uint64_t weight = lds(weights + 8 * lane + k);
    if (weight > 0 && reaches(sum + weight, total, share)) {
      sts(found, static_cast<uint64_t>(8 * lane + k));
      sts(found + 1, sum);
      return;
    }
    sum += weight;
  }
}

// The first distance at which the share of the weight reaches `share`: the bits of distances have their order. By the whole block.
RVX_DEVICE double reachedAt(const double* distances, const uint8_t* codes, int count,
                            const uint64_t* weights, uint64_t total, double share) {
  auto *histogram = sharedMemory<uint64_t>(kCounters), *found = sharedMemory<uint64_t>(kFound);
  uint64_t prefix = 0, before = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    if (threadIdx.x < 256) sts(histogram + threadIdx.x, uint64_t{0});
    syncBlock();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads) {
      const double distance = ld(distances + i);
      uint64_t bits;
      memcpy(&bits, &distance, sizeof bits);
      if (shift == 56 || bits >> (shift + 8) == prefix)
        atomicAdd(histogram + (bits >> shift & 255), ld(weights + ld(codes + i)));
    }
    syncBlock();
    if (threadIdx.x < 32) findDigit(histogram, before, total, share, found);
    syncBlock();
    prefix = prefix << 8 | lds(found);
    before = lds(found + 1);
  }
  double distance;
  memcpy(&distance, &prefix, sizeof distance);
  return distance;
}

// Block 0: sum and maximum; then one for each of `percentiles` percentiles, then for the tolerances. `summary` is shifted by the
// direction.
RVX_KERNEL(kFigureThreads)
elementFigures(const double* distances, Elements from, AreaTables areas, const uint64_t* total,
               const double* asked, int percentiles, double* summary) {
  const int count = ld(from.count), figure = static_cast<int>(blockIdx.x) - 1;
  if (figure < 0) {
    auto* scratch = sharedMemory<double>();
    double sum = 0, maximum = 0;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads) {
      const double value = ld(distances + i);
      sum += value * ld(areas.mm2 + ld(from.codes + i));
      maximum = maximum < value ? value : maximum;
    }
    sum = sumBlock(sum, scratch);
    maximum = reduceBlock<Maximum>(maximum, 0.0, scratch);
    if (threadIdx.x == 0) st(summary + kSumAB, sum), st(summary + kMaximumAB, maximum);
    return;
  }
  const double which = ld(asked + figure);
  double result;
  if (figure < percentiles)
    result = reachedAt(distances, from.codes, count, areas.weights, ld(total), which / 100);
  else
    result = sumAreas(
        countCode(from.codes, count, [&](int i) { return ld(distances + i) <= which; }), areas.mm2);
  if (threadIdx.x == 0) st(summary + kSurfaceFigures + 2 * figure, result);
}

}  // namespace

void elementCodes(Context& cx, const uint32_t* mask, const SurfaceBox& box, const uint32_t* bits,
                  const int32_t* before, uint8_t* codes) {
  launch(cx, "surfaceDistances/codes", blocksFor(box.words(), kCodeThreads), kCodeThreads, 0,
         &writeCodes, mask, box, bits, before, codes);
}

ElementFigures::ElementFigures(const SurfaceDistances& op, const Surfaces& surfaces, Context& cx)
    : ElementFigures(op, surfaces,
                     elementAreas(op.spacing, kCellsOfVoxel * (int64_t{surfaces.voxels(0)} +
                                                               surfaces.voxels(1))),
                     cx) {}

ElementFigures::ElementFigures(const SurfaceDistances& op, const Surfaces& surfaces,
                               const ElementAreas& areas, Context& cx)
    : op_(op),
      surfaces_(surfaces),
      cx_(cx),
      mm2_(cx, areas.mm2),
      weights_(cx, areas.weight),
      totals_(cx, 2 * sizeof(uint64_t)) {
  const int32_t* counts = surfaces.counts();
  launch(cx, "surfaceDistances/areas", 2u, kFigureThreads, kShared, &surfaceAreas,
         Elements{surfaces.codes(0), counts}, Elements{surfaces.codes(1), counts + 1},
         AreaTables{mm2_.data(), weights_.data()}, totals_.data<uint64_t>(),
         op.summary.data<double>());
}

void ElementFigures::write(int side, const double* distances, const double* asked) const {
  const size_t figures = op_.percentiles.size() + op_.tolerances.size();
  launch(cx_, "surfaceDistances/figures", static_cast<unsigned>(figures + 1), kFigureThreads,
         kShared, &elementFigures, distances,
         Elements{surfaces_.codes(side), surfaces_.counts() + side},
         AreaTables{mm2_.data(), weights_.data()}, totals_.data<uint64_t>() + side, asked,
         static_cast<int>(op_.percentiles.size()), op_.summary.data<double>() + side);
}

}  // namespace rvx::cuda
