// surfaceDistances: directed distances between the surfaces of two masks, in double (ops/labels.h).
//
// Surfaces are found as bits (surfaceBits.cu). Then, for each direction, the exact transform of the other surface (distanceLines.h)
// in the joint box; the pass along h stores only columns that hold a voxel of this surface in some plane, the pass along d takes
// only these and evaluates its envelope at the voxels themselves, straight into distances in raster order. Bytes: about 20 a voxel
// of the box and direction. FLOPs as distanceTransform's, for the columns that are left.
//
// Figures: a block for the sum and the maximum, one for each percentile and tolerance. A surface has some 10^4 to 10^6 voxels,
// which stay in the cache. The order statistics are exact: a radix select on the bits of the distances, eight digits of eight bits.
// Sums have a fixed order; counts are integers. Those of elements are in surfaceElements.cu.
//
// Limits: surfaceBits.cu's and distanceTransform.cu's: as many threads as columns, doubles. A figure is one block's work, a percentile eight
// passes and one more over the surface. Workspace: 8 bytes a voxel of the box and 8 for each voxel of the larger mask, for elements up to
// eight times that.
#include <cmath>
#include <cstring>

#include "cuda/distanceLines.h"
#include "cuda/reduce.h"
#include "cuda/surfaceBits.h"
#include "cuda/surfaceElements.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kFigureThreads = 512;
constexpr int kKeepThreads = 256;

// One surface: its places as bits, how many come before each word, the columns it has a voxel in.
struct From {
  const uint32_t *bits, *columns;
  const int32_t* before;
};

template <class C>
RVX_KERNEL_BLOCKS(kLineThreads, kLineBlocks)
surfaceAlongD(const InPlane<C>* planes, LineGrid grid, From from, C* stack, double* distances) {
  const int64_t line = int64_t{blockIdx.x} * kLineThreads + threadIdx.x;
  const int stride = grid.height * grid.width;
  if (line >= stride) return;
  const int h = static_cast<int>(line / grid.width);
  const int w = static_cast<int>(line - int64_t{h} * grid.width);
  const int word = h * grid.words + w / 32, wordStride = grid.height * grid.words;
  if (!bitAt(ld(from.columns + word), w)) return;
  LineEnvelope<C, FromPlane<C>> envelope(planes + line, stack + line, stride, {grid.w2, grid.h2},
                                         grid.d2);
  if (!envelope.build(grid.depth)) return;
  using Entry = typename LineEnvelope<C, FromPlane<C>>::Entry;
  envelope.walk(
      grid.depth, [&](int d) { return bitAt(ld(from.bits + word + d * wordStride), w); },
      [&](int d, double square, const Entry&) {
        const int at = word + d * wordStride;
        const int rank = popcount(ld(from.bits + at) & ((1u << (w & 31)) - 1));
        st(distances + ld(from.before + at) + rank, std::sqrt(square));
      });
}

RVX_DEVICE uint64_t bitsOf(double value) {
  uint64_t bits;
  memcpy(&bits, &value, sizeof bits);
  return bits;
}
RVX_DEVICE double ofBits(uint64_t bits) {
  double value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Of shared memory, in bytes: scratch of reductions, a histogram of one digit, the digit found and the rank in it.
constexpr unsigned kHistogram = 32 * sizeof(double), kFound = kHistogram + 256 * sizeof(uint32_t),
                   kFigureShared = kFound + 2 * sizeof(uint32_t);

// By the first warp: the digit in which a rank falls.
RVX_DEVICE void findDigit(const uint32_t* histogram, uint32_t rank, uint32_t* found) {
  const int lane = static_cast<int>(threadIdx.x);
  uint32_t own = 0;
  for (int k = 0; k < 8; ++k) own += lds(histogram + 8 * lane + k);
  uint32_t sum = own;
  for (int by = 1; by < 32; by *= 2) {
    const uint32_t other = shuffleUp(sum, by);
    if (lane >= by) sum += other;
  }
  uint32_t before = sum - own;
  if (rank < before || rank >= sum) return;
  for (int k = 0; k < 8; ++k) {
    const uint32_t count = lds(histogram + 8 * lane + k);
    if (rank < before + count) {
      sts(found, static_cast<uint32_t>(8 * lane + k));
      sts(found + 1, rank - before);
      return;
    }
    before += count;
  }
}

// The value of this rank, 0 the least, of `count` values that are not negative: their bits have their order. By the whole block.
RVX_DEVICE double select(const double* values, int count, uint32_t rank) {
  auto *histogram = sharedMemory<uint32_t>(kHistogram), *found = sharedMemory<uint32_t>(kFound);
  uint64_t prefix = 0;
  for (int shift = 56; shift >= 0; shift -= 8) {
    if (threadIdx.x < 256) sts(histogram + threadIdx.x, 0u);
    syncBlock();
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads) {
      const uint64_t bits = bitsOf(ld(values + i));
      if (shift == 56 || bits >> (shift + 8) == prefix)
        atomicAdd(histogram + (bits >> shift & 255), 1u);
    }
    syncBlock();
    if (threadIdx.x < 32) findDigit(histogram, rank, found);
    syncBlock();
    prefix = prefix << 8 | lds(found);
    rank = lds(found + 1);
  }
  return ofBits(prefix);
}

// Linear interpolation between order statistics.
RVX_DEVICE double percentile(const double* values, int count, double percent) {
  const double place = static_cast<double>(count - 1) * percent / 100;
  const int below = static_cast<int>(std::floor(place));
  const double low = select(values, count, static_cast<uint32_t>(below));
  int notAbove = 0;
  double next = kInfinity;
  for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads) {
    const double value = ld(values + i);
    if (value <= low)
      ++notAbove;
    else
      next = value < next ? value : next;
  }
  notAbove = sumBlock(notAbove, sharedMemory<int>());
  next = reduceBlock<Minimum>(next, kInfinity, sharedMemory<double>());
  if (below + 1 >= count) return low;
  const double high = notAbove > below + 1 ? low : next;
  return low + (place - static_cast<double>(below)) * (high - low);
}

// Block 0: sum and maximum; then one for each of `percentiles` percentiles, then for the tolerances. `summary` is shifted by the
// direction.
RVX_KERNEL(kFigureThreads)
directedFigures(const double* distances, const int32_t* counted, const double* asked,
                int percentiles, double* summary) {
  const int count = ld(counted), figure = static_cast<int>(blockIdx.x) - 1;
  auto* scratch = sharedMemory<double>();
  if (figure < 0) {
    double sum = 0, maximum = 0;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads) {
      const double value = ld(distances + i);
      sum += value;
      maximum = maximum < value ? value : maximum;
    }
    sum = sumBlock(sum, scratch);
    maximum = reduceBlock<Maximum>(maximum, 0.0, scratch);
    if (threadIdx.x == 0) st(summary + kSumAB, sum), st(summary + kMaximumAB, maximum);
    return;
  }
  const double which = ld(asked + figure);
  double result;
  if (figure < percentiles) {
    result = percentile(distances, count, which);
  } else {
    int within = 0;
    for (int i = static_cast<int>(threadIdx.x); i < count; i += kFigureThreads)
      within += ld(distances + i) <= which;
    result = sumBlock(within, sharedMemory<int>());
  }
  if (threadIdx.x == 0) st(summary + kSurfaceFigures + 2 * figure, result);
}

RVX_KERNEL(32)
counts(double voxelsA, double voxelsB, double both, const int32_t* surface, double area,
       double* summary) {
  if (threadIdx.x != 0) return;
  st(summary + kVoxelsA, voxelsA), st(summary + kVoxelsB, voxelsB), st(summary + kVoxelsBoth, both);
  st(summary + kSurfaceA, static_cast<double>(ld(surface)));
  st(summary + kSurfaceB, static_cast<double>(ld(surface + 1)));
  st(summary + kAreaA, area), st(summary + kAreaB, area);
}

// distances == nullptr: all are infinite.
RVX_KERNEL(kKeepThreads)
keep(const double* distances, const int32_t* counted, int64_t capacity, double* out) {
  const int64_t i = int64_t{blockIdx.x} * kKeepThreads + threadIdx.x;
  if (i >= capacity) return;
  double value = std::numeric_limits<double>::quiet_NaN();
  if (i < ld(counted)) value = distances ? ld(distances + i) : kInfinity;
  st(out + i, value);
}

void keepDistances(Context& cx, const Output& out, const double* distances,
                   const int32_t* counted) {
  if (!out) return;
  const int64_t capacity = out.shape.size();
  launch(cx, "surfaceDistances/keep", blocksFor(capacity, kKeepThreads), kKeepThreads, 0, &keep,
         distances, counted, capacity, out.data<double>());
}

// What the figures are where a mask is empty.
void emptyFigures(const SurfaceDistances& op, const Surfaces& surfaces, Context& cx) {
  const bool both = surfaces.voxels(0) == 0 && surfaces.voxels(1) == 0;
  const double value = both ? std::nan("") : kInfinity;
  std::vector<double> figures(kSurfaceFigures - kSumAB + 2 * op.percentiles.size(), value);
  figures.resize(figures.size() + 2 * op.tolerances.size(), both ? value : 0);
  cx.device.copyIn(op.summary.data<double>() + kSumAB, figures.data(),
                   figures.size() * sizeof(double));
  keepDistances(cx, op.distancesAB, nullptr, surfaces.counts());
  keepDistances(cx, op.distancesBA, nullptr, surfaces.counts() + 1);
}

template <class C>
void figures(const SurfaceDistances& op, const Surfaces& surfaces,
             const std::optional<ElementFigures>& elements, Context& cx) {
  const SurfaceBox& box = surfaces.box();
  const auto voxels = static_cast<size_t>(box.voxels());
  const LineGrid grid({box.size[0], box.size[1], box.width}, op.spacing);
  std::vector<double> asked = op.percentiles;
  asked.insert(asked.end(), op.tolerances.begin(), op.tolerances.end());
  const DeviceTable<double> table(cx, asked);
  Workspace alongW(cx, voxels * sizeof(C)), stack(cx, voxels * sizeof(C));
  Workspace planes(cx, voxels * sizeof(InPlane<C>)),
      space(cx, static_cast<size_t>(surfaces.most()) * sizeof(double));
  auto* distances = space.data<double>();
  const auto percentiles = static_cast<int>(op.percentiles.size());
  for (int side = 0; side < 2; ++side) {
    const From from{surfaces.bits(side), surfaces.columns(side), surfaces.before(side)};
    const int32_t* counted = surfaces.counts() + side;
    distancesInPlanes<C>(cx, surfaces.bits(1 - side), grid, from.columns, alongW.data<C>(),
                         stack.data<C>(), planes.data<InPlane<C>>());
    launch(cx, "surfaceDistances/d", blocksFor(int64_t{grid.height} * grid.width, kLineThreads),
           kLineThreads, 0, &surfaceAlongD<C>, planes.data<InPlane<C>>(), grid, from,
           stack.data<C>(), distances);
    keepDistances(cx, side == 0 ? op.distancesAB : op.distancesBA, distances, counted);
    if (elements) {
      elements->write(side, distances, table.data());
      continue;
    }
    launch(cx, "surfaceDistances/figures", static_cast<unsigned>(asked.size() + 1), kFigureThreads,
           kFigureShared, &directedFigures, distances, counted, table.data(), percentiles,
           op.summary.data<double>() + side);
  }
}

}  // namespace

template <>
void run(const SurfaceDistances& op, Context& cx) {
  const Surfaces surfaces(op, cx);
  launch(cx, "surfaceDistances/counts", 1u, 32, 0, &counts, surfaces.voxels(0), surfaces.voxels(1),
         surfaces.voxelsOfBoth(), surfaces.counts(), op.elements() ? 0.0 : std::nan(""),
         op.summary.data<double>());
  std::optional<ElementFigures> elements;
  if (op.elements() && surfaces.box().words() > 0) elements.emplace(op, surfaces, cx);
  if (surfaces.voxels(0) == 0 || surfaces.voxels(1) == 0) {
    emptyFigures(op, surfaces, cx);
    return;
  }
  const SurfaceBox& box = surfaces.box();
  if (fitsIn16Bits({box.size[0], box.size[1], box.width}))
    figures<uint16_t>(op, surfaces, elements, cx);
  else
    figures<uint32_t>(op, surfaces, elements, cx);
}

}  // namespace rvx::cuda
