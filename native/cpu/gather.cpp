// The gather of convolution.h.
//
// FLOPs 2 * outputs * taps * Cin * Cout; least bytes: one read of the sources and the weights, one
// write of y. Direct convolution with packed rows: input rows are copied into
// a strip in the second cache, padded, normalised, both sources together, channels in blocks; a
// ring of planes slides along D, so each is packed once a strip. Tiles of voxels by output channels
// (isa/gather_tile.h) run over the strip; weights of a pass (some taps of one block) stay in the
// first cache while the strip goes by, sums wait in a buffer that takes the place of y until they
// are done.
//
// Work is split into tasks of samples x row blocks x plane chunks x groups of output channels. Each
// voxel's sum runs over input blocks, taps, channels in this order whatever the task, so its bits
// depend on nothing else. Statistics are merged row by row inside a task and then task by task.
#include <algorithm>
#include <vector>

#include "core/pool.h"
#include "cpu/gather_plan.h"
#include "cpu/isa/gather_rows.h"
#include "cpu/kept_weights.h"
#include "cpu/moments.h"
#include "cpu/pointwise.h"

namespace rvx::cpu {
namespace {

int64_t floorDivide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

// What is kept of packed weights beside their buffer at most.
constexpr int64_t kMostBytes = 40 << 20;

// [output block][NV][lanes], zero where there is no output channel.
void packBiases(const Gather& g, const GatherPlan& plan, float* biases) {
  const int P = plan.packed.interleave, part = plan.lanes / P;
  for (const auto& out : plan.outBlocks) {
    float* bias = biases + out.bias;
    std::fill(bias, bias + out.NV * plan.lanes, 0.0f);
    for (int64_t co = 0; co < out.count && g.bias; ++co)
      for (int p = 0; p < P; ++p)
        bias[co / part * plan.lanes + co % part * P + p] = g.bias[out.first + co];
  }
}

// [output block][input block][tap][run][NV][lanes], zero where there is no output channel.
void packWeights(const Gather& g, const GatherPlan& plan, float* weights) {
  const auto inBlocks = int64_t(plan.packed.blocks.size());
  const int P = plan.packed.interleave, part = plan.lanes / P;
  const int64_t size = g.kernel[0] * g.kernel[1] * g.kernel[2];
  const auto& kw = g.axes[2].kernel;
  const size_t together = plan.merged ? kw.size() : 1;
  parallelFor(int64_t(plan.outBlocks.size()) * inBlocks, [&](int64_t task) {
    const auto& out = plan.outBlocks[size_t(task / inBlocks)];
    const auto& in = plan.packed.blocks[size_t(task % inBlocks)];
    const int64_t width = out.NV * plan.lanes;
    float* to = weights + out.weight + int64_t(plan.taps.size() * together) * in.first * width;
    // Where each position of the kernel goes; some have no tap (gradients with a stride).
    std::vector<int64_t> place(size_t(size), -1);
    for (size_t t = 0; t < plan.taps.size(); ++t) {
      const auto& tap = plan.taps[t];
      const int64_t line =
          (g.axes[0].kernel[size_t(tap.d)] * g.kernel[1] + g.axes[1].kernel[size_t(tap.h)]) *
          g.kernel[2];
      for (size_t k = 0; k < together; ++k)
        place[size_t(line + kw[plan.merged ? k : size_t(tap.w)])] =
            (int64_t(t) * plan.run(in) + int64_t(k) * in.count) * width;
    }
    const bool contiguous = g.weightCi == size;
    for (int n = 0; n < out.NV; ++n) {
      const int64_t first = out.first + n * part;
      const int64_t valid = std::min<int64_t>(part, out.first + out.count - first);
      for (int64_t ci = 0; ci < (contiguous ? 1 : in.count); ++ci) RVX_ISA_CALL(packLanes)
      (g.weight + g.parts[out.part].weight + first * g.weightCo + (in.first + ci) * g.weightCi,
       g.weightCo, valid, P, contiguous ? in.count * size : size, size, place.data(), width,
       to + ci * width + n * plan.lanes);
    }
  });
}

// Which layout the packed weights of a convolution have.
Companion::Key keyOf(const Gather& g, const GatherPlan& plan) {
  return {kGatherForm,       plan.lanes,  plan.packed.interleave,
          plan.thin,         plan.merged, int64_t(plan.packed.blocks.size()),
          plan.weightFloats, g.kernel[0], g.kernel[1],
          g.kernel[2],       g.cin(),     g.cout};
}

// Without input channels a sum has no terms and a strip no columns: the bias is left, the same everywhere.
void writeBiases(const Gather& g) {
  const GatherAxis &d = g.axes[0], &h = g.axes[1], &w = g.axes[2];
  const auto biasOf = [&](int64_t co) { return g.bias ? g.bias[co] : 0.0f; };
  parallelFor(g.samples * d.outputs, [&](int64_t task) {
    const int64_t n = task / d.outputs, plane = d.start + task % d.outputs * d.spread;
    for (int64_t i = 0; i < h.outputs; ++i)
      for (int64_t j = 0; j < w.outputs; ++j) {
        const int64_t line = (n * g.outSize[0] + plane) * g.outSize[1] + h.start + i * h.spread;
        const int64_t voxel = line * g.outSize[2] + w.start + j * w.spread;
        for (const auto& part : g.parts)
          for (int64_t co = 0; co < g.cout; ++co) g.y[voxel * g.cout + part.y + co] = biasOf(co);
      }
  });
  if (!g.sums) return;
  for (int64_t i = 0; i < g.samples * g.cout; ++i)
    g.sums[2 * i] = biasOf(i % g.cout), g.sums[2 * i + 1] = 0;
}

// One task: a strip of rows walks along D.
class Strip {
 public:
  Strip(const Gather& g, const GatherPlan& plan, const float* weights, const float* biases,
        int64_t n, int64_t rowBlock, int64_t planeChunk)
      : g_(g),
        plan_(plan),
        weights_(weights),
        biases_(biases),
        n_(n),
        rowBegin_(rowBlock * plan.rowsPerBlock),
        rowEnd_(std::min(rowBegin_ + plan.rowsPerBlock, g.axes[1].outputs)),
        rows_((rowEnd_ - rowBegin_ + plan.packed.interleave - 1) / plan.packed.interleave),
        planeBegin_(planeChunk * plan.planesPerChunk),
        planeEnd_(std::min(planeBegin_ + plan.planesPerChunk, g.axes[0].outputs)),
        planes_(plan.packed, g.sources, g.slope, g.inSize, n,
                rowBegin_ * g.axes[1].step + plan.firstRow, rows_ * g.axes[1].step,
                (rows_ - 1) * g.axes[1].step + plan.extent[1] + 1),
        // What statistics are made of is read again, row by row.
        stream_(g.passesCaches() && !g.sums),
        offsets_(plan.taps.size()) {
    const int64_t width = std::max(plan.tiledWidth[1], 2 * plan.tiledWidth[2]) * plan.lanes;
    sums_ = static_cast<float*>(
        threadScratch(1, size_t(plan.planesPerStep * rows_ * width) * sizeof(float)));
  }

  double voxels() const {
    return double((rowEnd_ - rowBegin_) * (planeEnd_ - planeBegin_) * g_.axes[2].outputs);
  }

  // Output blocks first..last-1. `moments` by output channel, or nullptr.
  void run(size_t first, size_t last, Moments* moments) {
    for (int64_t d = planeBegin_; d < planeEnd_; d += plan_.planesPerStep) {
      const int64_t count = std::min(plan_.planesPerStep, planeEnd_ - d);
      for (int64_t i = 0; i < count; ++i) needPlanes(d + i);
      for (size_t b = first; b < last; ++b) {
        sumBlock(plan_.outBlocks[b], d, count);
        finishBlock(plan_.outBlocks[b], d, count, moments);
      }
    }
    if (stream_) RVX_ISA_CALL(finishStreams)();
  }

 private:
  void needPlanes(int64_t d) {
    for (int64_t offset : g_.axes[0].offset) {
      const int64_t z = d * g_.axes[0].step + offset;
      if (planes_.inside(z)) planes_.need(z);
    }
  }

  // Whole vectors of one row each go to y from the last tile; the rest by way of sums_.
  bool direct(const GatherPlan::OutBlock& out) const {
    return plan_.packed.interleave == 1 && out.count == out.NV * plan_.lanes;
  }
  // Width of a row that is written directly: the tiles that do not reach beyond its end.
  int64_t directWidth(const GatherPlan::OutBlock& out) const {
    if (!direct(out)) return 0;
    const auto& tiles = plan_.tiles[out.NV];
    return plan_.tiledWidth[out.NV] == g_.axes[2].outputs ? g_.axes[2].outputs : tiles.back().at;
  }
  float* rowOf(const GatherPlan::OutBlock& out, int64_t d, int64_t h) const {
    const auto &ad = g_.axes[0], &ah = g_.axes[1], &aw = g_.axes[2];
    const int64_t line =
        (n_ * g_.outSize[0] + ad.start + d * ad.spread) * g_.outSize[1] + ah.start + h * ah.spread;
    return g_.y + (line * g_.outSize[2] + aw.start) * g_.cout + g_.parts[out.part].y + out.first;
  }

  void sumBlock(const GatherPlan::OutBlock& out, int64_t d, int64_t count) {
    const int64_t lanes = out.NV * plan_.lanes;
    const auto inBlocks = int64_t(plan_.packed.blocks.size());
    const auto taps = int64_t(plan_.taps.size());
    const float* weights = weights_ + out.weight;
    for (int64_t b = 0; b < inBlocks; ++b) {
      const auto& in = plan_.packed.blocks[size_t(b)];
      const int64_t passes = plan_.passes(in, out.NV);
      for (int64_t pass = 0; pass < passes; ++pass)
        for (int64_t i = 0; i < count; ++i) {
          // Taps whose plane lies outside are left out: a range at either end.
          int64_t low = 0, high = taps;
          while (low < high && outside(d + i, low)) ++low;
          while (low < high && outside(d + i, high - 1)) --high;
          const int64_t begin = std::max(low, taps * pass / passes);
          const int64_t end = std::min(high, taps * (pass + 1) / passes);
          const bool empty = low == high && b == 0 && pass == 0;
          if (begin >= end && !empty) continue;
          TilePass tile;
          tile.tapOffset = offsets_.data();
          tile.taps = std::max<int64_t>(0, end - begin);
          tile.run = plan_.run(in);
          tile.weight = weights + begin * tile.run * lanes;
          for (int64_t t = begin; t < end; ++t)
            offsets_[size_t(t - begin)] = offsetOf(d + i, t) + b * plan_.packed.blockFloats();
          const bool last = empty || (b == inBlocks - 1 && end == high);
          sumRows(out, tile, d, i, empty || (b == 0 && begin == low), last);
        }
      weights += taps * plan_.run(in) * lanes;
    }
  }

  // One pass over the rows of plane d + i.
  void sumRows(const GatherPlan::OutBlock& out, TilePass tile, int64_t d, int64_t i, bool first,
               bool last) {
    const int64_t lanes = out.NV * plan_.lanes, width = plan_.tiledWidth[out.NV];
    const int64_t directly = last ? directWidth(out) : 0, stride = g_.axes[2].spread * g_.cout;
    tile.startStride = first ? 0 : lanes;
    for (int64_t r = 0; r < rows_; ++r) {
      const float* packed = planes_.data() + r * g_.axes[1].step * plan_.packed.rowFloats;
      float* sums = sums_ + (i * rows_ + r) * width * lanes;
      float* y = directly ? rowOf(out, d + i, rowBegin_ + r) : nullptr;
      for (const auto& t : plan_.tiles[out.NV]) {
        tile.in = packed + t.at * plan_.voxelFloats;
        tile.start = first ? biases_ + out.bias : sums + t.at * lanes;
        tile.sum = t.at < directly ? y + t.at * stride : sums + t.at * lanes;
        tile.sumStride = t.at < directly ? stride : lanes;
        tile.stream = stream_ && t.at < directly && lanes % 16 == 0;
        t.run(tile);
      }
    }
  }

  bool outside(int64_t d, int64_t tap) const { return !planes_.inside(planeOf(d, tap)); }
  int64_t planeOf(int64_t d, int64_t tap) const {
    return d * g_.axes[0].step + g_.axes[0].offset[size_t(plan_.taps[size_t(tap)].d)];
  }
  int64_t offsetOf(int64_t d, int64_t tap) const {
    const auto& t = plan_.taps[size_t(tap)];
    return plan_.packed.slot(planeOf(d, tap)) * plan_.packed.planeFloats() +
           t.row * plan_.packed.rowFloats + t.column * plan_.packed.columnFloats;
  }

  void finishBlock(const GatherPlan::OutBlock& out, int64_t d, int64_t count, Moments* moments) {
    const int64_t lanes = out.NV * plan_.lanes, width = plan_.tiledWidth[out.NV];
    const int P = plan_.packed.interleave, part = plan_.lanes / P;
    UnpackRow job;
    job.P = P;
    job.NV = out.NV;
    job.from = directWidth(out);
    job.width = g_.axes[2].outputs;
    job.stride = g_.axes[2].spread * g_.cout;
    job.channels = out.count;
    if (job.from == job.width && !moments) return;
    auto rowsBefore = double((d - planeBegin_) * (rowEnd_ - rowBegin_));
    for (int64_t i = 0; i < count; ++i)
      for (int64_t r = 0; r < rows_; ++r) {
        float* rows[4];
        for (int p = 0; p < P; ++p) {
          const int64_t h = rowBegin_ + p * rows_ + r;
          rows[p] = h < rowEnd_ ? rowOf(out, d + i, h) : nullptr;
        }
        job.sum = sums_ + (i * rows_ + r) * width * lanes;
        job.rows = rows;
        RVX_ISA_CALL(unpackRow)(job);
        if (!moments) continue;
        alignas(64) float mean[32], m2[32];
        if (job.from)
          RVX_ISA_CALL(laneMoments)(rows[0], job.width, job.stride, lanes, mean, m2);
        else
          RVX_ISA_CALL(laneMoments)(job.sum, job.width, lanes, lanes, mean, m2);
        const auto added = double(job.width);
        for (int p = 0; p < P; ++p) {
          if (!rows[p]) continue;
          for (int64_t c = 0; c < out.count; ++c) {
            const int64_t lane = c / part * plan_.lanes + c % part * P + p;
            moments[out.first + c].merge(rowsBefore * added, {mean[lane], m2[lane]}, added);
          }
          rowsBefore += 1;
        }
      }
  }

  const Gather& g_;
  const GatherPlan& plan_;
  const float *weights_, *biases_;
  int64_t n_, rowBegin_, rowEnd_, rows_, planeBegin_, planeEnd_;
  PackedPlanes planes_;
  bool stream_;
  std::vector<int64_t> offsets_;
  float* sums_;
};

}  // namespace

GatherAxis convolutionAxis(int64_t outputs, int64_t kernel, int64_t stride, int64_t padding,
                           int64_t dilation) {
  GatherAxis axis;
  axis.outputs = outputs;
  axis.step = stride;
  for (int64_t k = 0; k < kernel; ++k) {
    axis.offset.push_back(k * dilation - padding);
    axis.kernel.push_back(k);
  }
  return axis;
}

GatherAxis gradientAxis(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation, int64_t rest) {
  GatherAxis axis;
  axis.outputs = rest < size ? (size - rest + stride - 1) / stride : 0;
  axis.start = rest;
  axis.spread = stride;
  for (int64_t k = kernel - 1; k >= 0; --k) {
    // x[i] reached y[o] where i = o*stride - padding + k*dilation. Offsets ascend.
    const int64_t reach = rest + padding - k * dilation;
    const int64_t o = floorDivide(reach, stride);
    if (o * stride != reach) continue;
    axis.offset.push_back(o);
    axis.kernel.push_back(k);
  }
  return axis;
}

void runGather(const Gather& g, Context& cx) {
  if (g.samples * g.axes[0].outputs * g.axes[1].outputs * g.axes[2].outputs * g.cout == 0) return;
  if (g.cin() == 0) return writeBiases(g);
  if (pointwiseFits(g)) return runPointwise(g, cx);
  const GatherPlan plan(g);
  const bool keeps = g.weightBuffer && plan.weightFloats * int64_t(sizeof(float)) <= kMostBytes;
  Workspace memory(cx, size_t((keeps ? 0 : plan.weightFloats) + plan.biasFloats) * sizeof(float));
  float* biases = memory.data();
  packBiases(g, plan, biases);
  float* packed = biases + plan.biasFloats;
  if (!keeps) packWeights(g, plan, packed);
  const float* weights = keeps ? keptWeights(*g.weightBuffer, keyOf(g, plan), plan.weightFloats,
                                             [&](float* made) { packWeights(g, plan, made); })
                               : packed;

  const int64_t strips = plan.rowBlocks * plan.planeChunks;
  std::vector<Moments> moments(g.sums ? size_t(g.samples * strips * g.cout) : 0);
  std::vector<double> voxels(size_t(g.samples * strips));
  const auto blocks = int64_t(plan.outBlocks.size());
  parallelFor(g.samples * strips * plan.outGroups, g.microseconds(), [&](int64_t task) {
    const int64_t group = task / (g.samples * strips), strip = task % (g.samples * strips);
    Strip work(g, plan, weights, biases, strip / strips, strip % plan.rowBlocks,
               strip % strips / plan.rowBlocks);
    if (group == 0) voxels[size_t(strip)] = work.voxels();
    work.run(size_t(blocks * group / plan.outGroups), size_t(blocks * (group + 1) / plan.outGroups),
             g.sums ? moments.data() + strip * g.cout : nullptr);
  });
  if (!g.sums) return;
  mergeMoments(moments, voxels, g.samples, strips, g.cout, g.sums);
}

}  // namespace rvx::cpu
