// Weight gradients of all convolutions: dw[a,b,k] = sum over n, o of coarse[n,o,a] * fine[n,i(o,k),b].
//
// FLOPs 2 * coarse voxels * taps * coarse channels * fine channels; least bytes: one read of both
// tensors. Fine rows are packed as for the forward pass, without holes, so that the taps along W of
// all channels of a block are one run of values; a tile (isa/grad_tile.h) sums up to 24 of them by
// one or two vectors of coarse channels over about 128 voxels in registers.
//
// Precision: a tile's sum is added to the partial sum of its task, and the partial sums are added
// in order: three levels keep the rounding error near 1e-6 where one running sum has 3e-5. Work is
// split into tasks of strips of rows x groups of coarse channels; the number of partial sums is
// bounded by kPartialBytes.
#include "cpu/convolutionGradWeight.h"

#include <algorithm>
#include <vector>

#include "core/pool.h"
#include "cpu/isa/gather_rows.h"
#include "cpu/isa/gather_tile.h"
#include "cpu/isa/grad_tile.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kPartialBytes = 16 << 20;
constexpr int64_t kStripBytes = 512 << 10;
constexpr int64_t kTasks = 48;
constexpr int64_t kVoxelsPerTile = 128;

int64_t ceilDivide(int64_t a, int64_t b) { return (a + b - 1) / b; }

struct Plan {
  explicit Plan(const WeightGradient& g);

  int lanes;
  PackedLayout packed;
  int64_t blockChannels;

  struct OutBlock {
    int NV;
    int64_t first, count;  // coarse channels
    int64_t sums, packed;  // offsets into a partial sum and into the packed coarse plane
  };
  std::vector<OutBlock> outBlocks;
  int64_t partialFloats = 0, coarseFloats = 0;

  // Values next to each other in a packed row: [first, first + B) of the run at `offset` floats.
  struct Group {
    int64_t offset, slot;  // slot: first of its B places in a partial sum
    int B;
  };
  std::vector<Group> groups[3];  // by NV
  int64_t slots[3] = {0, 0, 0};
  int rowsOfTaps = 1;               // taps along H that a tile takes at once
  bool merged;                      // the taps along W are one run
  std::vector<int64_t> runSlot[3];  // first slot of each run, by NV

  int64_t rowsPerBlock, rowBlocks, planesPerChunk, planeChunks;
  int64_t strips, partials, outGroups;

  // Floats of one (kd, kh) of one output block, and of one fine block of it.
  int64_t blockFloats(int NV) const { return slots[NV] * NV * lanes; }
  int64_t rowFloats(int NV) const { return blockFloats(NV) * int64_t(packed.blocks.size()); }
  bool direct(const OutBlock& b) const { return packed.interleave == 1 && b.count == b.NV * lanes; }
};

Plan::Plan(const WeightGradient& g) : lanes(RVX_ISA_CALL(vectorLanes)()) {
  const int64_t rows = g.coarseSize[1];
  const int P = packed.interleave = chooseInterleave(lanes, g.coarseChannels, rows);
  const int64_t cin = g.fineChannels(), blocks = ceilDivide(cin, 32);
  blockChannels = ceilDivide(cin, blocks);
  for (int64_t c = 0; c < cin; c += blockChannels)
    packed.blocks.push_back({c, std::min(blockChannels, cin - c)});
  packed.columnFloats = blockChannels * P;
  packed.columns = (g.coarseSize[2] - 1) * g.stride[2] + (g.kernel[2] - 1) * g.dilation[2] + 1;
  packed.firstColumn = -g.padding[2];
  packed.phaseSize = packed.columns;
  packed.rowFloats = ceilDivide(packed.columns * packed.columnFloats, 16) * 16;
  packed.firstPlane = -g.padding[0];
  packed.planes = (g.kernel[0] - 1) * g.dilation[0] + 1;

  merged = g.dilation[2] == 1 || g.kernel[2] == 1;
  const int64_t runs = merged ? 1 : g.kernel[2];
  const int64_t length = merged ? g.kernel[2] * blockChannels : blockChannels;
  const int most = *RVX_ISA_CALL(gradSizes)(1, 3);
  const bool few = length <= most && g.kernel[1] >= 3;
  rowsOfTaps = few ? 3 : 1;
  for (int NV : {1, 2})
    for (int64_t run = 0; run < runs; ++run) {
      runSlot[NV].push_back(slots[NV]);
      int64_t at = 0;
      for (int B : splitRun(length, NV, NV == 1 ? rowsOfTaps : 1,
                            RVX_ISA_CALL(gradSizes)(NV, NV == 1 ? rowsOfTaps : 1))) {
        groups[NV].push_back(
            {run * g.dilation[2] * packed.columnFloats + at * P, slots[NV] + at, B});
        at += B;
      }
      slots[NV] += at;
    }

  const int64_t part = lanes / P;
  const auto strip = [&](int64_t r) {
    packed.rows = (ceilDivide(r, P) - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1;
    return packed.planes * packed.planeFloats() * int64_t(sizeof(float));
  };
  rowsPerBlock = std::min<int64_t>(ceilDivide(rows, P), 8) * P;
  while (rowsPerBlock > P && strip(rowsPerBlock) > kStripBytes) rowsPerBlock -= P;
  rowBlocks = ceilDivide(rows, rowsPerBlock);
  rowsPerBlock = ceilDivide(rows, rowBlocks);
  strip(rowsPerBlock);
  for (int64_t first = 0; first < g.coarseChannels;) {
    const int NV = !few && P < 4 && g.coarseChannels - first > part ? 2 : 1;
    const int64_t count = std::min(NV * part, g.coarseChannels - first);
    outBlocks.push_back({NV, first, count, partialFloats, coarseFloats});
    partialFloats += g.kernel[0] * g.kernel[1] * rowFloats(NV);
    coarseFloats += ceilDivide(rowsPerBlock, P) * g.coarseSize[2] * NV * lanes;
    first += count;
  }

  const int64_t voxels = g.samples * g.coarseSize[0] * rows * g.coarseSize[2];
  const int64_t shortest = 2 * packed.planes / g.stride[0] + 1;
  planeChunks = std::clamp<int64_t>(ceilDivide(kTasks, g.samples * rowBlocks), 1,
                                    std::max<int64_t>(1, g.coarseSize[0] / shortest));
  planesPerChunk = ceilDivide(g.coarseSize[0], planeChunks);
  planeChunks = ceilDivide(g.coarseSize[0], planesPerChunk);
  strips = g.samples * rowBlocks * planeChunks;
  const int64_t bytes = partialFloats * int64_t(sizeof(float));
  partials = std::clamp<int64_t>(std::min(kPartialBytes / bytes, voxels / kVoxelsPerTile), 1,
                                 std::min(strips, kTasks));
  outGroups = std::clamp<int64_t>(ceilDivide(kTasks / 3, partials), 1, int64_t(outBlocks.size()));
}

// One strip: rows of a sample, walking along D, added to one partial sum.
class Strip {
 public:
  Strip(const WeightGradient& g, const Plan& plan, int64_t strip)
      : g_(g),
        plan_(plan),
        n_(strip / (plan.rowBlocks * plan.planeChunks)),
        rowBegin_(strip % plan.rowBlocks * plan.rowsPerBlock),
        rowEnd_(std::min(rowBegin_ + plan.rowsPerBlock, g.coarseSize[1])),
        rows_(ceilDivide(rowEnd_ - rowBegin_, plan.packed.interleave)),
        chunk_(strip / plan.rowBlocks % plan.planeChunks),
        planes_(plan.packed, g.fine, g.slope, g.fineSize, n_,
                rowBegin_ * g.stride[1] - g.padding[1], rows_ * g.stride[1],
                (rows_ - 1) * g.stride[1] + (g.kernel[1] - 1) * g.dilation[1] + 1),
        coarse_(static_cast<float*>(threadScratch(1, size_t(plan.coarseFloats) * sizeof(float)))) {}

  void run(size_t first, size_t last, float* partial) {
    for (size_t b = first; b < last; ++b) {
      const auto& out = plan_.outBlocks[b];
      if (!plan_.direct(out))
        std::fill_n(coarse_ + out.packed, rows_ * g_.coarseSize[2] * out.NV * plan_.lanes, 0.0f);
    }
    const int64_t begin = chunk_ * plan_.planesPerChunk;
    const int64_t end = std::min(begin + plan_.planesPerChunk, g_.coarseSize[0]);
    for (int64_t d = begin; d < end; ++d) {
      for (int64_t kd = 0; kd < g_.kernel[0]; ++kd)
        if (planes_.inside(planeOf(d, kd))) planes_.need(planeOf(d, kd));
      for (size_t b = first; b < last; ++b) packCoarse(plan_.outBlocks[b], d);
      const int64_t together =
          std::clamp<int64_t>(ceilDivide(kVoxelsPerTile, g_.coarseSize[2]), 1, rows_);
      for (int64_t r = 0; r < rows_; r += together)
        for (size_t b = first; b < last; ++b)
          addRows(plan_.outBlocks[b], d, r, std::min(together, rows_ - r), partial);
    }
  }

 private:
  int64_t planeOf(int64_t d, int64_t kd) const {
    return d * g_.stride[0] - g_.padding[0] + kd * g_.dilation[0];
  }
  const float* coarseRow(int64_t d, int64_t row) const {
    return g_.coarse + ((n_ * g_.coarseSize[0] + d) * g_.coarseSize[1] + row) * g_.coarseSize[2] *
                           g_.coarseChannels;
  }

  // Rows of plane d as vectors, where they are not so by themselves.
  void packCoarse(const Plan::OutBlock& out, int64_t d) {
    if (plan_.direct(out)) return;
    const int P = plan_.packed.interleave;
    PackRow job;
    job.P = P;
    job.width = job.columns = job.phaseSize = g_.coarseSize[2];
    job.stride = g_.coarseChannels;
    job.channels = out.count;
    job.scale = job.shift = nullptr;
    job.slope = 1;
    job.firstColumn = 0;
    job.phases = 1;
    job.outStride = out.NV * plan_.lanes;
    for (int64_t r = 0; r < rows_; ++r) {
      const float* rows[4];
      for (int p = 0; p < P; ++p) {
        const int64_t row = rowBegin_ + p * rows_ + r;
        rows[p] = row < rowEnd_ ? coarseRow(d, row) + out.first : nullptr;
      }
      job.rows = rows;
      job.out = coarse_ + out.packed + r * g_.coarseSize[2] * job.outStride;
      RVX_ISA_CALL(packRow)(job);
    }
  }

  void addRows(const Plan::OutBlock& out, int64_t d, int64_t r, int64_t rows, float* partial) {
    const PackedLayout& packed = plan_.packed;
    const int64_t lanes = out.NV * plan_.lanes;
    GradTile tile;
    tile.fineVoxel = g_.stride[2] * packed.columnFloats;
    tile.fineRow = g_.stride[1] * packed.rowFloats;
    tile.fineTap = g_.dilation[1] * packed.rowFloats;
    tile.coarseVoxel = plan_.direct(out) ? g_.coarseChannels : lanes;
    tile.coarseRow = g_.coarseSize[2] * tile.coarseVoxel;
    tile.coarse = plan_.direct(out) ? coarseRow(d, rowBegin_ + r) + out.first
                                    : coarse_ + out.packed + r * tile.coarseRow;
    tile.width = g_.coarseSize[2];
    tile.rows = rows;
    tile.sumTap = plan_.rowFloats(out.NV);
    for (int64_t kd = 0; kd < g_.kernel[0]; ++kd) {
      const int64_t z = planeOf(d, kd);
      if (!planes_.inside(z)) continue;
      for (int64_t kh = 0; kh < g_.kernel[1];) {
        const int R = out.NV == 1 && plan_.rowsOfTaps == 3 && g_.kernel[1] - kh >= 3 ? 3 : 1;
        const float* fine = planes_.data() + packed.slot(z) * packed.planeFloats() +
                            (r * g_.stride[1] + kh * g_.dilation[1]) * packed.rowFloats;
        float* sums = partial + out.sums + (kd * g_.kernel[1] + kh) * tile.sumTap;
        for (size_t block = 0; block < packed.blocks.size(); ++block) {
          for (const auto& group : plan_.groups[out.NV]) {
            tile.fine = fine + group.offset;
            tile.sum = sums + group.slot * lanes;
            RVX_ISA_CALL(findGrad)(GradKind{packed.interleave, out.NV, R, group.B})(tile);
          }
          fine += packed.blockFloats();
          sums += plan_.blockFloats(out.NV);
        }
        kh += R;
      }
    }
  }

  const WeightGradient& g_;
  const Plan& plan_;
  int64_t n_, rowBegin_, rowEnd_, rows_, chunk_;
  PackedPlanes planes_;
  float* coarse_;
};

void addPartials(const WeightGradient& g, const Plan& plan, const float* partials) {
  const auto blocks = int64_t(plan.packed.blocks.size());
  const int64_t taps = g.taps(), cin = g.fineChannels();
  const int64_t part = plan.lanes / plan.packed.interleave;
  parallelFor(int64_t(plan.outBlocks.size()) * blocks, [&](int64_t task) {
    const auto& out = plan.outBlocks[size_t(task / blocks)];
    const auto& in = plan.packed.blocks[size_t(task % blocks)];
    const int64_t lanes = out.NV * plan.lanes;
    std::vector<int64_t> place;
    for (int64_t row = 0; row < g.kernel[0] * g.kernel[1]; ++row)
      for (int64_t kw = 0; kw < g.kernel[2]; ++kw) {
        const int64_t slot =
            plan.merged ? kw * plan.blockChannels : plan.runSlot[out.NV][size_t(kw)];
        place.push_back(row * plan.rowFloats(out.NV) + slot * lanes);
      }
    for (int n = 0; n < out.NV; ++n) {
      const int64_t first = out.first + n * part;
      RVX_ISA_CALL(unpackLanes)
      (partials + out.sums + task % blocks * plan.blockFloats(out.NV) + n * plan.lanes,
       plan.partials, plan.partialFloats, place.data(), lanes,
       std::min(part, out.first + out.count - first), plan.packed.interleave, in.count * taps, taps,
       g.dw + (first * cin + in.first) * taps, cin * taps);
    }
  });
}

}  // namespace

std::vector<int> splitRun(int64_t length, int NV, int R, const int* sizes) {
  std::vector<double> cost(size_t(length) + 1, 0);
  std::vector<int> choice(size_t(length) + 1, 0);
  for (int64_t n = 1; n <= length; ++n) {
    cost[size_t(n)] = 1e30;
    for (const int* b = sizes; *b; ++b) {
      const double cycles = 0.5 + std::max({4.0, *b * R * NV / 2.0, (*b * R + NV) / 2.0});
      const double total = cycles + cost[size_t(std::max<int64_t>(0, n - *b))];
      if (total < cost[size_t(n)]) cost[size_t(n)] = total, choice[size_t(n)] = *b;
    }
  }
  std::vector<int> result;
  for (int64_t n = length; n > 0; n -= result.back()) result.push_back(choice[size_t(n)]);
  return result;
}

void runWeightGradient(const WeightGradient& g, Context& cx) {
  if (g.empty()) {
    std::fill_n(g.dw, g.coarseChannels * g.fineChannels() * g.taps(), 0.0f);
    return;
  }
  const Plan plan(g);
  Workspace partials(cx, size_t(plan.partials * plan.partialFloats) * sizeof(float));
  const auto blocks = int64_t(plan.outBlocks.size());
  parallelFor(plan.partials * plan.outGroups, [&](int64_t task) {
    const int64_t q = task % plan.partials, group = task / plan.partials;
    const auto first = size_t(blocks * group / plan.outGroups);
    const auto last = size_t(blocks * (group + 1) / plan.outGroups);
    float* partial = partials.data() + q * plan.partialFloats;
    const int64_t begin = plan.outBlocks[first].sums;
    const int64_t end = last < size_t(blocks) ? plan.outBlocks[last].sums : plan.partialFloats;
    std::fill(partial + begin, partial + end, 0.0f);
    for (int64_t s = plan.strips * q / plan.partials; s < plan.strips * (q + 1) / plan.partials;
         ++s)
      Strip(g, plan, s).run(first, last, partial);
  });
  addPartials(g, plan, partials.data());
}

void runBiasGradient(const float* dy, int64_t voxels, int64_t channels, float* db, Context& cx) {
  const int64_t grain = std::max<int64_t>(256, (1 << 17) / std::max<int64_t>(1, channels));
  const int64_t chunks = ceilDivide(voxels, grain);
  Workspace partials(cx, std::max<size_t>(1, size_t(chunks * channels)) * sizeof(double));
  parallelFor(chunks, [&](int64_t chunk) {
    double* sum = partials.data<double>() + chunk * channels;
    std::fill(sum, sum + channels, 0.0);
    auto* scratch = static_cast<float*>(threadScratch(0, size_t(channels) * 16 * sizeof(float)));
    RVX_ISA_CALL(sumChannels)
    (dy + chunk * grain * channels, std::min(voxels - chunk * grain, grain), channels, scratch,
     sum);
  });
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      sum += partials.data<double>()[chunk * channels + c];
    db[c] = float(sum);
  }
}

}  // namespace rvx::cpu
