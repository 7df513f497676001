// Winograd's convolution (winograd_plan.h) in strips: some rows of tiles walk along D. A ring holds the
// transformed planes; for each pair of output planes and each point, four planes become four points
// along D, are multiplied, and come back as two planes; then the tiles of the pair are transformed back.
//
// Tasks: lattices x strips x chunks of planes.
#include <algorithm>
#include <memory>

#include "core/pool.h"
#include "cpu/moments.h"
#include "cpu/winograd_plan.h"

namespace rvx::cpu {
namespace {

class WinogradStrip {
 public:
  WinogradStrip(const Gather& g, const WinogradPlan& plan, const float* weights, const float* bias,
                int64_t n, int64_t strip, int64_t chunk)
      : g_(g),
        plan_(plan),
        source_(plan.source(g)),
        weights_(weights),
        bias_(bias),
        in_(source_.lattice(n)),
        out_(plan.output(g, n)),
        firstTileRow_(strip * plan.stripTileRows),
        tileRows_(std::min(plan.stripTileRows, plan.tilesH - firstTileRow_)),
        begin_(chunk * plan.chunkPlanes),
        end_(std::min(begin_ + plan.chunkPlanes, out_.size[0])),
        held_(size_t(kSlots), kNone),
        // A stride of a power of two would put all points into the same sets of the first cache.
        pointStride_(plan.blocks * plan.stripTiles() * kWinogradBlock + kWinogradBlock),
        productStride_(plan.blocks * plan.paddedRows * kWinogradBlock + kWinogradBlock),
        sumStride_(plan.paddedRows * plan.couts + kWinogradBlock),
        planeStride_(plan.stripTiles() * plan.couts + kWinogradBlock) {
    constexpr int64_t kSlack = 32 * kWinogradBlock;  // tiles read beyond their last row
    int64_t at = 0;
    const auto place = [&](int64_t floats) {
      const int64_t here = at;
      at += (floats + 15) / 16 * 16;
      return here;
    };
    const int64_t ring = place(kSlots * kWinogradPoints * pointStride_);
    const int64_t zeros = place(plan.stripTiles() * kWinogradBlock);
    const int64_t products = place(4 * productStride_ + kSlack);
    const int64_t sums = place(4 * sumStride_);
    const int64_t planes = place(2 * kWinogradPoints * planeStride_);
    const int64_t moments = place(2 * plan.couts);
    const int64_t buffer = place(source_.bufferFloats());
    auto* base = static_cast<float*>(threadScratch(0, size_t(at) * sizeof(float)));
    ring_ = base + ring;
    zeros_ = base + zeros;
    products_ = base + products;
    sums_ = base + sums;
    planes_ = base + planes;
    moments_ = base + moments;
    buffer_ = base + buffer;
    std::fill(zeros_, zeros_ + plan.stripTiles() * kWinogradBlock, 0.0f);
    for (int64_t b = 0; b < plan.blocks; ++b)
      offsets_.push_back(b * plan.paddedRows * kWinogradBlock);
  }

  // Returns the number of voxels; `moments` by output channel, or nullptr.
  double run(Moments* moments) {
    double voxels = 0;
    for (int64_t d = begin_; d < end_; d += 2) {
      for (int64_t i = 0; i < kSlots; ++i) need(d + in_.first[0] + i);
      for (int64_t p = 0; p < kWinogradPoints; ++p) multiply(d, p);
      for (int64_t i = 0; i < 2 && d + i < end_; ++i)
        for (int64_t r = 0; r < tileRows_; ++r) {
          const int64_t stored = winogradOutput(
              g_, plan_, out_, d + i, firstTileRow_ + r,
              planes_ + i * kWinogradPoints * planeStride_ + r * plan_.tilesW * plan_.couts,
              planeStride_, bias_, moments ? moments_ : nullptr);
          for (int64_t c = 0; stored > 0 && moments && c < g_.cout; ++c)
            moments[c].merge(voxels, {moments_[c], moments_[plan_.couts + c]}, double(stored));
          voxels += double(stored);
        }
    }
    return voxels;
  }

 private:
  static constexpr int64_t kNone = INT64_MIN, kSlots = 4;

  int64_t slotOf(int64_t z) const { return (z - in_.first[0]) % kSlots; }
  bool inside(int64_t z) const { return z >= 0 && z < in_.size[0]; }

  void need(int64_t z) {
    int64_t& held = held_[size_t(slotOf(z))];
    if (held == z || !inside(z)) return;
    held = z;
    float* plane = ring_ + slotOf(z) * kWinogradPoints * pointStride_;
    for (int64_t r = 0; r < tileRows_; ++r)
      winogradInput(source_, in_, z, firstTileRow_ + r, plane + r * plan_.tilesW * kWinogradBlock,
                    pointStride_, plan_.stripTiles() * kWinogradBlock, buffer_);
  }

  void multiply(int64_t d, int64_t p) {
    const int64_t floats = plan_.stripTiles() * kWinogradBlock;
    for (int64_t b = 0; b < plan_.blocks; ++b) {
      const float* from[4];
      for (int64_t i = 0; i < 4; ++i) {
        const int64_t z = d + in_.first[0] + i;
        from[i] = inside(z) ? ring_ + (slotOf(z) * kWinogradPoints + p) * pointStride_ + b * floats
                            : zeros_;
      }
      RVX_ISA_CALL(winogradDepthLoad)
      (from, floats, products_ + offsets_[size_t(b)], productStride_);
    }
    const float* weights = weights_ + p * plan_.weightPoint();
    for (int64_t q = 0; q < 4; ++q)
      plan_.multiply(products_ + q * productStride_, offsets_.data(),
                     weights + q * plan_.productFloats(), sums_ + q * sumStride_);
    float* to = planes_ + p * planeStride_;
    RVX_ISA_CALL(winogradDepthStore)
    (sums_, sumStride_, plan_.stripTiles() * plan_.couts, to, to + kWinogradPoints * planeStride_);
  }

  const Gather& g_;
  const WinogradPlan& plan_;
  const WinogradSource source_;
  const float *weights_, *bias_;
  Lattice in_, out_;
  int64_t firstTileRow_, tileRows_, begin_, end_;
  std::vector<int64_t> held_, offsets_;
  int64_t pointStride_, productStride_, sumStride_, planeStride_;
  float *ring_, *zeros_, *products_, *sums_, *planes_, *moments_, *buffer_;
};

}  // namespace

void winogradStrips(const Gather& g, const WinogradPlan& plan, const float* weights,
                    const float* bias) {
  const int64_t parts = plan.strips * plan.chunks, tasks = plan.count * parts;
  std::vector<Moments> moments(g.sums ? size_t(tasks * g.cout) : 0);
  std::vector<double> voxels(static_cast<size_t>(tasks));
  parallelFor(tasks, g.microseconds() / kWinogradGain, [&](int64_t task) {
    WinogradStrip strip(g, plan, weights, bias, task / parts, task % plan.strips,
                        task % parts / plan.strips);
    voxels[size_t(task)] = strip.run(g.sums ? moments.data() + task * g.cout : nullptr);
  });
  if (g.sums) mergeMoments(moments, voxels, g.samples, tasks / g.samples, g.cout, g.sums);
}

}  // namespace rvx::cpu
