// Winograd's convolution for first layers (winograd_stem.h), in strips: some rows of tiles walk along D.
// A ring holds the transformed planes. For each output plane, block of output channels and group of
// tiles, the products of a column of points are brought back along H at once; when all columns are
// there, along W into y.
//
// Tasks: samples x strips x chunks of planes. Transformed weights are kept beside the weight's buffer,
// where the gather names it, until that is written again.
#include "cpu/winograd_stem.h"

#include <algorithm>

#include "core/pool.h"
#include "cpu/kept_weights.h"
#include "cpu/moments.h"

namespace rvx::cpu {
namespace {

class StemStrip {
 public:
  StemStrip(const Gather& g, const StemPlan& plan, const float* weights, const float* bias,
            int64_t n, int64_t strip, int64_t chunk)
      : g_(g),
        plan_(plan),
        weights_(weights),
        bias_(bias),
        n_(n),
        firstTileRow_(strip * plan.stripTileRows),
        tileRows_(std::min(plan.stripTileRows, plan.h.tiles - firstTileRow_)),
        begin_(chunk * plan.chunkPlanes),
        end_(std::min(begin_ + plan.chunkPlanes, g.axes[0].outputs)),
        held_(size_t(plan.slots), kNone),
        offsets_(size_t(plan.steps)) {
    int64_t at = 0, group = 0;
    for (const auto& b : plan.outBlocks)
      group = std::max(group, plan.paddedTiles[b.NV] * b.NV * plan.lanes);
    const auto place = [&](int64_t floats) {
      const int64_t here = at;
      at += (floats + 2 * kStemSlack - 1) / kStemSlack * kStemSlack;
      return here;
    };
    const int64_t ring = place(plan.slots * plan.planeFloats() + kStemSlack);
    const int64_t line = place(plan.period * plan.places);
    const int64_t rows = place(plan.h.reach(plan.stripTileRows) * plan.rowFloats);
    const int64_t columns = place(plan.h.entries * plan.rowFloats);
    const int64_t products = place(plan.h.points * group);
    const int64_t halves = place(plan.w.points * kStemTile * group);
    const int64_t moments = place(4 * plan.lanes);
    auto* base = static_cast<float*>(threadScratch(0, size_t(at) * sizeof(float)));
    ring_ = base + ring;
    line_ = base + line;
    rows_ = base + rows;
    columns_ = base + columns;
    products_ = base + products;
    halves_ = base + halves;
    moments_ = base + moments;
  }

  // Returns the number of voxels; `moments` by output channel, or nullptr.
  double run(Moments* moments) {
    double voxels = 0;
    for (int64_t d = begin_; d < end_; ++d) {
      for (int64_t offset : g_.axes[0].offset) need(d * g_.axes[0].step + offset);
      placeSteps(d);
      double stored = 0;
      for (const StemPlan::OutBlock& b : plan_.outBlocks) {
        stored = 0;
        const int64_t tiles = tileRows_ * plan_.w.tiles, group = plan_.groupTiles[b.NV];
        for (int64_t first = 0; first < tiles; first += group) {
          const int64_t count = std::min(group, tiles - first);
          multiply(b, first, count);
          stored += finish(b, d, first, count, voxels + stored, moments);
        }
      }
      voxels += stored;
    }
    return voxels;
  }

 private:
  static constexpr int64_t kNone = INT64_MIN;

  int64_t slotOf(int64_t z) const { return (z - plan_.firstPlane) % plan_.slots; }
  bool inside(int64_t z) const { return z >= 0 && z < g_.inSize[0]; }

  void need(int64_t z) {
    if (!inside(z)) return;
    int64_t& held = held_[size_t(slotOf(z))];
    if (held == z) return;
    held = z;
    float* to = ring_ + slotOf(z) * plan_.planeFloats();
    for (const GatherSource& s : g_.sources)
      for (int64_t c = 0; c < s.channels; ++c) {
        pack(s, c, z);
        for (int64_t r = 0; r < tileRows_; ++r) transform(r, to + r * plan_.w.tiles);
        to += plan_.h.entries * plan_.w.entries * plan_.entryStride;
      }
  }

  // The rows of channel c of plane z that the strip reaches.
  void pack(const GatherSource& s, int64_t c, int64_t z) {
    StemRow job;
    job.stride = s.channels;
    job.width = g_.inSize[2];
    job.scale = s.scale ? s.scale + n_ * s.channels + c : nullptr;
    job.shift = s.shift ? s.shift + n_ * s.channels + c : nullptr;
    job.slope = g_.slope;
    job.firstColumn = g_.axes[2].offset[0];
    job.period = plan_.period;
    job.places = plan_.places;
    job.line = line_;
    const int64_t first = firstTileRow_ * kStemTile * plan_.h.step + g_.axes[1].offset[0];
    for (int64_t r = 0; r < plan_.h.reach(tileRows_); ++r) {
      const int64_t y = first + r;
      job.x = y < 0 || y >= g_.inSize[1]
                  ? nullptr
                  : s.x + ((n_ * g_.inSize[0] + z) * g_.inSize[1] + y) * job.width * s.channels + c;
      job.out = rows_ + r * plan_.rowFloats;
      RVX_ISA_CALL(stemRow)(job);
    }
  }

  // A row of tiles: along H over whole rows, then along W.
  void transform(int64_t tileRow, float* to) {
    const StemAxis &h = plan_.h, &w = plan_.w;
    StemInput job;
    job.floats = job.stride = plan_.rowFloats;
    job.rows = 1;
    job.fromStep = job.toStep = 0;
    for (size_t p = 0; p < h.phases.size(); ++p) {
      job.points = h.phases[p].points;
      for (int i = 0; i < job.points; ++i)
        job.from[i] = rows_ + ((tileRow * kStemTile + i) * h.step + int64_t(p)) * plan_.rowFloats;
      job.to = columns_ + h.phases[p].entry * plan_.rowFloats;
      RVX_ISA_CALL(stemInput)(job);
    }
    job.floats = w.tiles;
    job.stride = plan_.entryStride;
    job.rows = h.entries;
    job.fromStep = plan_.rowFloats;
    job.toStep = w.entries * plan_.entryStride;
    for (size_t p = 0; p < w.phases.size(); ++p) {
      job.points = w.phases[p].points;
      for (int i = 0; i < job.points; ++i)
        job.from[i] = columns_ + plan_.columnAt[p + size_t(i) * size_t(w.step)];
      job.to = to + w.phases[p].entry * plan_.entryStride;
      RVX_ISA_CALL(stemInput)(job);
    }
  }

  // Where the ring has what the products of plane d want. Planes outside are left out, at either end.
  void placeSteps(int64_t d) {
    const auto& planes = g_.axes[0].offset;
    const auto z = [&](int64_t k) { return d * g_.axes[0].step + planes[size_t(k)]; };
    low_ = 0, high_ = int64_t(planes.size());
    while (low_ < high_ && !inside(z(low_))) ++low_;
    while (low_ < high_ && !inside(z(high_ - 1))) --high_;
    auto to = offsets_.begin();
    auto from = plan_.stepAt.begin();
    for (const StemPlan::Point& point : plan_.points) {
      for (int64_t k = low_; k < high_; ++k) {
        const int64_t plane = slotOf(z(k)) * plan_.planeFloats();
        for (int64_t i = 0; i < point.perPlane; ++i) *to++ = plane + from[i];
      }
      from += point.perPlane;
    }
  }

  // A group of tiles from `first` on: all points, brought back along H.
  void multiply(const StemPlan::OutBlock& b, int64_t first, int64_t count) {
    const int64_t width = b.NV * plan_.lanes, pointFloats = plan_.paddedTiles[b.NV] * width;
    const float* weights = weights_ + b.first * plan_.steps;
    const int64_t* offsets = offsets_.data();
    StemOutput back;
    back.from = products_;
    back.stride = back.toStride = pointFloats;
    back.floats = count * width;
    back.points = plan_.h.points;
    auto point = plan_.points.begin();
    for (int w = 0; w < plan_.w.points; ++w) {
      for (int h = 0; h < plan_.h.points; ++h, ++point) {
        StemTile tile;
        tile.length = (high_ - low_) * point->perPlane;
        tile.offsets = offsets;
        tile.weight = weights + (point->weight + low_ * point->perPlane) * width;
        offsets += tile.length;
        for (const StemPlan::Tile& t : plan_.tiles[b.NV]) {
          if (t.at >= count) break;
          tile.in = ring_ + first + t.at;
          tile.out = products_ + h * pointFloats + t.at * width;
          t.run(tile);
        }
      }
      back.to = halves_ + w * kStemTile * pointFloats;
      RVX_ISA_CALL(stemOutput)(back);
    }
  }

  // The same tiles along W, into y. Returns the number of voxels.
  double finish(const StemPlan::OutBlock& b, int64_t d, int64_t first, int64_t count, double before,
                Moments* moments) {
    const int64_t height = g_.axes[1].outputs, width = g_.axes[2].outputs;
    StemStore job;
    job.tileStride = b.NV * plan_.lanes;
    job.rowStride = plan_.paddedTiles[b.NV] * job.tileStride;
    job.pointStride = kStemTile * job.rowStride;
    job.points = plan_.w.points;
    job.stride = g_.cout;
    job.stream = plan_.stream;
    job.channels = std::min(job.tileStride, g_.cout - b.first);
    job.bias = bias_ + b.first;
    job.mean = moments ? moments_ : nullptr;
    job.m2 = moments ? moments_ + job.tileStride : nullptr;
    double voxels = 0;
    for (int64_t tile = first; tile < first + count; tile += job.tiles) {
      const int64_t tileRow = tile / plan_.w.tiles, column = tile % plan_.w.tiles;
      job.tiles = std::min(plan_.w.tiles - column, first + count - tile);
      job.in = halves_ + (tile - first) * job.tileStride;
      job.width = std::min(width - column * kStemTile, job.tiles * kStemTile);
      int64_t rows = 0;
      for (int64_t r = 0; r < kStemTile; ++r) {
        const int64_t h = (firstTileRow_ + tileRow) * kStemTile + r;
        job.rows[r] = nullptr;
        if (h >= height) continue;
        job.rows[r] =
            g_.y +
            (((n_ * g_.outSize[0] + d) * height + h) * width + column * kStemTile) * g_.cout +
            b.first;
        ++rows;
      }
      RVX_ISA_CALL(stemStore)(job);
      const auto stored = double(rows * job.width);
      for (int64_t c = 0; moments && c < job.channels; ++c)
        moments[b.first + c].merge(before + voxels, {job.mean[c], job.m2[c]}, stored);
      voxels += stored;
    }
    return voxels;
  }

  const Gather& g_;
  const StemPlan& plan_;
  const float *weights_, *bias_;
  int64_t n_, firstTileRow_, tileRows_, begin_, end_;
  std::vector<int64_t> held_, offsets_;
  int64_t low_ = 0, high_ = 0;  // planes of the kernel that lie inside
  float *ring_, *line_, *rows_, *columns_, *products_, *halves_, *moments_;
};

void runStrips(const Gather& g, const StemPlan& plan, const float* weights, const float* bias) {
  const int64_t parts = plan.strips * plan.chunks, tasks = g.samples * parts;
  std::vector<Moments> moments(g.sums ? size_t(tasks * g.cout) : 0);
  std::vector<double> voxels(static_cast<size_t>(tasks));
  parallelFor(tasks, g.microseconds() / kWinogradGain, [&](int64_t task) {
    StemStrip strip(g, plan, weights, bias, task / parts, task % plan.strips,
                    task % parts / plan.strips);
    voxels[size_t(task)] = strip.run(g.sums ? moments.data() + task * g.cout : nullptr);
  });
  if (g.sums) mergeMoments(moments, voxels, g.samples, parts, g.cout, g.sums);
}

}  // namespace

void runWinogradStem(const Gather& g, Context& cx) {
  if (g.samples * g.axes[0].outputs * g.axes[1].outputs * g.axes[2].outputs * g.cout == 0) return;
  const StemPlan plan(g);
  const size_t bytes = size_t(plan.weightFloats()) * sizeof(float);
  std::vector<float> bias(size_t(plan.couts), 0.0f);
  if (g.bias) std::copy(g.bias, g.bias + g.cout, bias.begin());
  if (!g.weightBuffer) {
    Workspace weights(cx, bytes);
    stemWeights(g, plan, weights.data());
    return runStrips(g, plan, weights.data(), bias.data());
  }
  const Companion::Key key{kStemForm,   plan.lanes,  plan.cin,    g.cout,     g.kernel[0],
                           g.kernel[1], g.kernel[2], plan.h.step, plan.w.step};
  const float* weights = keptWeights(*g.weightBuffer, key, plan.weightFloats(),
                                     [&](float* made) { stemWeights(g, plan, made); });
  runStrips(g, plan, weights, bias.data());
}

}  // namespace rvx::cpu
