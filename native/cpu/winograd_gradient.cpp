#include "cpu/winograd_gradient.h"

#include <algorithm>

#include "core/pool.h"
#include "cpu/isa/gather_rows.h"
#include "cpu/isa/gather_tile.h"
#include "cpu/isa/winograd_gradient.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kPartialBytes = 16 << 20, kPartials = 48;
// The transformed planes of a step shall stay in the second cache, and have so many tiles that the way
// of the sums through it counts little.
constexpr int64_t kStepBytes = 512 << 10, kStepTiles = 64;
// Sums of all points up to this size may go by at every step.
constexpr int64_t kStripSumBytes = 2 << 20;
constexpr int64_t kPointsBytes = 256 << 20;

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Planes of one point, transformed along H and W: `pairs` pairs of dY, and four of x for each.
struct Planes {
  const float* const* x;  // [pairs][4], at block 0; nullptr: zeros
  int64_t blockStride;
  const float* gradient;
  int64_t tiles, pairs;
};

// Transforms along D and multiplies, with buffers for at most `pairs` pairs of `tiles` tiles.
class Products {
 public:
  Products(const WinogradGradientPlan& plan, int64_t tiles, int64_t pairs)
      : plan_(plan),
        productStride_(plan.blocks * pairs * tiles * kWinogradBlock + kWinogradBlock),
        sumStride_(pairs * tiles * plan.couts + kWinogradBlock),
        zeroFloats_(tiles * kWinogradBlock) {}

  int64_t floats() const { return zeroFloats_ + 4 * productStride_ + kSlack + 2 * sumStride_; }
  void place(float* memory) {
    zeros_ = memory;
    products_ = zeros_ + zeroFloats_;
    sums_ = products_ + 4 * productStride_ + kSlack;
    std::fill(zeros_, zeros_ + zeroFloats_, 0.0f);
  }

  // Adds to the sums of the point.
  void add(const Planes& of, float* sums) {
    const int64_t inFloats = of.tiles * kWinogradBlock, outFloats = of.tiles * plan_.couts;
    const int64_t blockFloats = of.pairs * inFloats;
    for (int64_t b = 0; b < plan_.blocks; ++b)
      for (int64_t pair = 0; pair < of.pairs; ++pair) {
        const float* four[4];
        for (int64_t i = 0; i < 4; ++i) {
          const float* x = of.x[4 * pair + i];
          four[i] = x ? x + b * of.blockStride : zeros_;
        }
        RVX_ISA_CALL(winogradDepthLoad)
        (four, inFloats, products_ + b * blockFloats + pair * inFloats, productStride_);
      }
    for (int64_t pair = 0; pair < of.pairs; ++pair) {
      const float* two = of.gradient + 2 * pair * outFloats;
      float* to = sums_ + pair * outFloats;
      RVX_ISA_CALL(winogradDepthGradient)(two, two + outFloats, outFloats, to, to + sumStride_);
    }
    const float* coarse[4] = {of.gradient, sums_, sums_ + sumStride_, of.gradient + outFloats};
    const int64_t coarseRow[4] = {2 * outFloats, outFloats, outFloats, 2 * outFloats};
    GradTile tile;
    tile.fineVoxel = kWinogradBlock;
    tile.fineRow = inFloats;
    tile.fineTap = tile.sumTap = 0;
    tile.coarseVoxel = plan_.couts;
    tile.width = of.tiles;
    tile.rows = of.pairs;
    for (int64_t q = 0; q < kWinogradDepth; ++q) {
      tile.coarseRow = coarseRow[q];
      for (const auto& out : plan_.outBlocks) {
        tile.coarse = coarse[q] + out.first;
        float* to = sums + q * plan_.productFloats() + out.first * plan_.blocks * plan_.slots;
        for (int64_t b = 0; b < plan_.blocks; ++b)
          for (const auto& group : plan_.groups[out.NV]) {
            tile.fine = products_ + q * productStride_ + b * blockFloats + group.at;
            tile.sum = to + (b * plan_.slots + group.at) * out.NV * plan_.lanes;
            group.run(tile);
          }
      }
    }
  }

 private:
  static constexpr int64_t kSlack = 2 * kWinogradBlock;  // read beyond the last block

  const WinogradGradientPlan& plan_;
  int64_t productStride_, sumStride_, zeroFloats_;
  float *zeros_ = nullptr, *products_ = nullptr, *sums_ = nullptr;
};

// A row of tiles of plane d of dY, zeros where there is none.
void loadGradient(const WeightGradient& g, const WinogradGradientPlan& plan, int64_t n, int64_t d,
                  int64_t tileRow, float* out, int64_t pointStride) {
  const Lattice lattice = plan.output(g, n);
  WinogradGradientLoad job;
  for (int64_t r = 0; r < kWinogradTile; ++r) {
    const int64_t h = tileRow * kWinogradTile + r;
    const bool inside = d < lattice.size[0] && h < lattice.size[1];
    job.rows[r] = inside ? g.coarse + lattice.row(g.coarseSize, g.coarseChannels, d, h) : nullptr;
  }
  job.channels = g.coarseChannels;
  job.stride = g.coarseChannels * lattice.step[2];
  job.width = lattice.size[2];
  job.tiles = plan.tilesW;
  job.out = out;
  job.pointStride = pointStride;
  job.tileStride = plan.couts;
  RVX_ISA_CALL(winogradGradientLoad)(job);
}

// Rows of tiles of one sample walk along D over the pairs of a chunk. A ring holds the planes of x of
// a step.
class GradientStrip {
 public:
  GradientStrip(const WeightGradient& g, const WinogradGradientPlan& plan, int64_t strip)
      : g_(g),
        plan_(plan),
        source_(plan.source(g)),
        n_(strip / (plan.strips * plan.chunks)),
        lattice_(source_.lattice(n_)),
        firstTileRow_(strip % plan.strips * plan.stripTileRows),
        tileRows_(std::min(plan.stripTileRows, plan.tilesH - firstTileRow_)),
        tiles_(tileRows_ * plan.tilesW),
        begin_(strip / plan.strips % plan.chunks * plan.chunkPairs),
        end_(std::min(begin_ + plan.chunkPairs, plan.pairs)),
        held_(size_t(2 * plan.stepPairs + 2), kNone),
        // A stride of a power of two would put all points into the same sets of the first cache.
        pointStride_(plan.blocks * tiles_ * kWinogradBlock + kWinogradBlock),
        gradientStride_(2 * plan.stepPairs * tiles_ * plan.couts + kWinogradBlock),
        products_(plan, tiles_, plan.stepPairs) {
    const int64_t ring = int64_t(held_.size()) * kWinogradPoints * pointStride_;
    const int64_t gradient = kWinogradPoints * gradientStride_;
    const int64_t buffer = ceilDivide(source_.bufferFloats(), 16) * 16;
    auto* memory = static_cast<float*>(
        threadScratch(0, size_t(ring + gradient + buffer + products_.floats()) * sizeof(float)));
    ring_ = memory;
    gradient_ = ring_ + ring;
    buffer_ = gradient_ + gradient;
    products_.place(buffer_ + buffer);
  }

  void run(float* sums) {
    std::vector<const float*> x(size_t(4 * plan_.stepPairs));
    for (int64_t pair = begin_; pair < end_; pair += plan_.stepPairs) {
      const int64_t pairs = std::min(plan_.stepPairs, end_ - pair);
      const int64_t first = 2 * pair + lattice_.first[0], planes = 2 * pairs + 2;
      for (int64_t z = first; z < first + planes; ++z) need(z);
      for (int64_t i = 0; i < 2 * pairs; ++i)
        for (int64_t r = 0; r < tileRows_; ++r)
          loadGradient(g_, plan_, n_, 2 * pair + i, firstTileRow_ + r,
                       gradient_ + (i * tiles_ + r * plan_.tilesW) * plan_.couts, gradientStride_);
      for (int64_t p = 0; p < kWinogradPoints; ++p) {
        for (int64_t i = 0; i < 4 * pairs; ++i) {
          const int64_t z = first + i / 4 * 2 + i % 4;
          x[size_t(i)] = inside(z) ? slot(z) + p * pointStride_ : nullptr;
        }
        products_.add(
            {x.data(), tiles_ * kWinogradBlock, gradient_ + p * gradientStride_, tiles_, pairs},
            sums + p * plan_.sumPoint());
      }
    }
  }

 private:
  static constexpr int64_t kNone = INT64_MIN;

  bool inside(int64_t z) const { return z >= 0 && z < lattice_.size[0]; }
  int64_t slotOf(int64_t z) const { return (z - lattice_.first[0]) % int64_t(held_.size()); }
  float* slot(int64_t z) const { return ring_ + slotOf(z) * kWinogradPoints * pointStride_; }

  void need(int64_t z) {
    int64_t& held = held_[size_t(slotOf(z))];
    if (held == z || !inside(z)) return;
    held = z;
    for (int64_t r = 0; r < tileRows_; ++r)
      winogradInput(source_, lattice_, z, firstTileRow_ + r,
                    slot(z) + r * plan_.tilesW * kWinogradBlock, pointStride_,
                    tiles_ * kWinogradBlock, buffer_);
  }

  const WeightGradient& g_;
  const WinogradGradientPlan& plan_;
  const WinogradSource source_;
  int64_t n_;
  Lattice lattice_;
  int64_t firstTileRow_, tileRows_, tiles_, begin_, end_;
  std::vector<int64_t> held_;
  int64_t pointStride_, gradientStride_;
  Products products_;
  float *ring_, *gradient_, *buffer_;
};

void addStrips(const WeightGradient& g, const WinogradGradientPlan& plan, float* partials) {
  const int64_t strips = plan.count * plan.strips * plan.chunks;
  parallelFor(plan.partials, [&](int64_t q) {
    float* sums = partials + q * plan.sumFloats();
    std::fill(sums, sums + plan.sumFloats(), 0.0f);
    for (int64_t s = strips * q / plan.partials; s < strips * (q + 1) / plan.partials; ++s)
      GradientStrip(g, plan, s).run(sums);
  });
}

// The whole of x and dY transformed: [point][block][lattice][plane][tile][16] and
// [point][lattice][plane][tile][couts].
struct Pointwise {
  const WeightGradient& g;
  const WinogradGradientPlan& plan;
  const WinogradSource source = plan.source(g);
  const int64_t outPlanes = 2 * plan.pairs, inPlanes = outPlanes + 2;
  const int64_t tiles = plan.tilesH * plan.tilesW;
  const int64_t inFloats = tiles * kWinogradBlock, outFloats = tiles * plan.couts;
  const int64_t blockStride = plan.count * inPlanes * inFloats;
  const int64_t pointStride = plan.blocks * blockStride + kWinogradBlock;
  const int64_t gradientStride = plan.count * outPlanes * outFloats + kWinogradBlock;

  static bool inside(const Lattice& lattice, int64_t i) {
    return i + lattice.first[0] >= 0 && i + lattice.first[0] < lattice.size[0];
  }

  void load(float* input, int64_t n, int64_t i) const {
    const Lattice lattice = source.lattice(n);
    if (!inside(lattice, i)) return;
    auto* buffer =
        static_cast<float*>(threadScratch(0, size_t(source.bufferFloats()) * sizeof(float)));
    for (int64_t r = 0; r < plan.tilesH; ++r)
      winogradInput(source, lattice, i + lattice.first[0], r,
                    input + (n * inPlanes + i) * inFloats + r * plan.tilesW * kWinogradBlock,
                    pointStride, blockStride, buffer);
  }

  // Sums of one point, over the pairs of planes of all lattices.
  void add(const float* input, const float* gradient, float* sums) const {
    const int64_t all = plan.count * plan.pairs;
    const int64_t most = std::min(all, ceilDivide(kStepTiles, tiles));
    Products products(plan, tiles, most);
    products.place(
        static_cast<float*>(threadScratch(0, size_t(products.floats()) * sizeof(float))));
    std::fill(sums, sums + plan.sumPoint(), 0.0f);
    std::vector<const float*> x(size_t(4 * most));
    for (int64_t first = 0; first < all; first += most) {
      const int64_t pairs = std::min(most, all - first);
      for (int64_t k = 0; k < pairs; ++k) {
        const int64_t n = (first + k) / plan.pairs, pair = (first + k) % plan.pairs;
        const Lattice lattice = source.lattice(n);
        for (int64_t i = 2 * pair; i < 2 * pair + 4; ++i)
          x[size_t(4 * k + i - 2 * pair)] =
              inside(lattice, i) ? input + (n * inPlanes + i) * inFloats : nullptr;
      }
      products.add({x.data(), blockStride, gradient + 2 * first * outFloats, tiles, pairs}, sums);
    }
  }
};

void addPoints(const WeightGradient& g, const WinogradGradientPlan& plan, float* sums,
               Context& cx) {
  const Pointwise work{g, plan};
  Workspace input(cx, size_t(kWinogradPoints * work.pointStride) * sizeof(float));
  Workspace gradient(cx, size_t(kWinogradPoints * work.gradientStride) * sizeof(float));
  parallelFor(plan.count * work.inPlanes, [&](int64_t task) {
    work.load(input.data(), task / work.inPlanes, task % work.inPlanes);
  });
  parallelFor(plan.count * work.outPlanes, [&](int64_t task) {
    for (int64_t r = 0; r < plan.tilesH; ++r)
      loadGradient(g, plan, task / work.outPlanes, task % work.outPlanes, r,
                   gradient.data() + task * work.outFloats + r * plan.tilesW * plan.couts,
                   work.gradientStride);
  });
  parallelFor(kWinogradPoints, [&](int64_t p) {
    work.add(input.data() + p * work.pointStride, gradient.data() + p * work.gradientStride,
             sums + p * plan.sumPoint());
  });
}

// From sums to the weight's layout.
void storeTaps(const WeightGradient& g, const WinogradGradientPlan& plan, const float* partials) {
  const int64_t vectors = plan.couts / plan.lanes, lanes = plan.lanes;
  int64_t place[27];
  for (int64_t k = 0; k < 27; ++k) place[k] = k * lanes;
  parallelFor(vectors * plan.blocks, [&](int64_t task) {
    const int64_t first = task / plan.blocks * lanes, block = task % plan.blocks;
    const auto& out = *std::find_if(plan.outBlocks.begin(), plan.outBlocks.end(),
                                    [&](const auto& b) { return first < b.first + b.NV * lanes; });
    const int64_t channels = std::min(kWinogradBlock, plan.cin - block * kWinogradBlock);
    const int64_t floats = kWinogradBlock * 27 * lanes;
    auto* taps = static_cast<float*>(
        threadScratch(0, size_t(floats + winogradGradientScratch(lanes)) * sizeof(float)));
    WinogradGradientStore job;
    job.step = out.NV * lanes;
    job.from = partials + out.first * plan.blocks * plan.slots + block * plan.slots * job.step +
               first - out.first;
    job.partials = plan.partials;
    job.partialStride = plan.sumFloats();
    job.pointStride = plan.sumPoint();
    job.depthStride = plan.productFloats();
    job.channels = channels;
    job.taps = taps;
    job.planes = taps + floats;
    RVX_ISA_CALL(winogradGradientStore)(job);
    RVX_ISA_CALL(unpackLanes)
    (taps, 1, 0, place, 27 * lanes, std::min(lanes, g.coarseChannels - first), 1, channels * 27, 27,
     g.dw + (first * plan.cin + block * kWinogradBlock) * 27, plan.cin * 27);
  });
}

}  // namespace

bool winogradGradientFits(const WeightGradient& g) {
  return g.kernel == Int3{3, 3, 3} && g.stride == Int3{1, 1, 1};
}

WinogradGradientPlan::WinogradGradientPlan(const WeightGradient& g)
    : lanes(RVX_ISA_CALL(vectorLanes)()),
      lattices(g.dilation, g.coarseSize),
      count(g.samples * lattices.all()),
      outputs(lattices.largest(g.coarseSize)),
      tilesH(ceilDivide(outputs[1], kWinogradTile)),
      tilesW(ceilDivide(outputs[2], kWinogradTile)),
      pairs(ceilDivide(outputs[0], 2)),
      cin(g.fineChannels()),
      blocks(ceilDivide(cin, kWinogradBlock)),
      run(blocks == 1 ? cin : kWinogradBlock) {
  while (couts < g.coarseChannels) {
    const int NV = g.coarseChannels - couts > lanes ? 2 : 1;
    outBlocks.push_back({NV, couts});
    couts += NV * lanes;
  }
  for (int NV : {1, 2}) {
    int64_t at = 0;
    for (int B : splitRun(run, NV, 1, RVX_ISA_CALL(gradSizes)(NV, 1))) {
      groups[NV].push_back({at, RVX_ISA_CALL(findGrad)(GradKind{1, NV, 1, B})});
      at += B;
    }
    slots = std::max(slots, at);
  }
  const int64_t tiles = tilesH * tilesW;
  const int64_t workBytes = count * 2 * pairs * tiles * kWinogradPoints *
                            (blocks * kWinogradBlock + couts) * int64_t(sizeof(float));
  order = sumFloats() * int64_t(sizeof(float)) > kStripSumBytes && workBytes <= kPointsBytes
              ? Order::points
              : Order::strips;
  if (order == Order::strips) splitStrips();
}

void WinogradGradientPlan::splitStrips() {
  const auto fits = [&](int64_t tileRows, int64_t step) {
    return kWinogradPoints * tileRows * tilesW *
               ((2 * step + 2) * blocks * kWinogradBlock + 2 * step * couts) *
               int64_t(sizeof(float)) <=
           kStepBytes;
  };
  const auto few = [&] { return stripTileRows * tilesW * stepPairs < kStepTiles; };
  while (few() && stripTileRows * tilesW < kStepTiles / 4 && stripTileRows < tilesH &&
         fits(stripTileRows + 1, stepPairs))
    ++stripTileRows;
  while (few() && stepPairs < pairs && fits(stripTileRows, stepPairs + 1)) ++stepPairs;
  strips = ceilDivide(tilesH, stripTileRows);
  stripTileRows = ceilDivide(tilesH, strips);
  // Each chunk transforms two planes of x more than it has of dY.
  const int64_t wanted = std::clamp<int64_t>(ceilDivide(kPartials, count * strips), 1,
                                             std::max<int64_t>(1, pairs / 4));
  chunkPairs = ceilDivide(ceilDivide(pairs, wanted), stepPairs) * stepPairs;
  chunks = ceilDivide(pairs, chunkPairs);
  partials = std::clamp<int64_t>(kPartialBytes / (sumFloats() * int64_t(sizeof(float))), 1,
                                 std::min(kPartials, count * strips * chunks));
}

void runWinogradGradient(const WeightGradient& g, Context& cx) {
  const WinogradGradientPlan plan(g);
  Workspace sums(cx, size_t(plan.partials * plan.sumFloats()) * sizeof(float));
  if (plan.order == WinogradGradientPlan::Order::strips)
    addStrips(g, plan, sums.data());
  else
    addPoints(g, plan, sums.data(), cx);
  storeTaps(g, plan, sums.data());
}

}  // namespace rvx::cpu
