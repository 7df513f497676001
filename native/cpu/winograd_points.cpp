// Winograd's convolution (winograd_plan.h) point by point, for deep levels: the whole input is
// transformed, then each point multiplied with its weights, which are so read once, then the whole
// output transformed back.
//
// Tasks: planes of the input; points; planes of the output. Workspace: the transformed input and
// output, 36/16 of the tensors and padding.
#include <algorithm>

#include "core/pool.h"
#include "cpu/moments.h"
#include "cpu/winograd_plan.h"

namespace rvx::cpu {
namespace {

// Products of one point (h, w), of some lattices at a time: along D to four points and back, as a strip of
// all tiles.
struct PointProducts {
  const WinogradPlan& plan;
  const int64_t pairs = (plan.outputs[0] + 1) / 2;
  const int64_t tiles = plan.tilesH * plan.tilesW;
  const int64_t inFloats = tiles * kWinogradBlock, outFloats = tiles * plan.couts;
  const int64_t blockFloats = plan.paddedRows * kWinogradBlock;
  const int64_t productStride = plan.blocks * blockFloats + kWinogradBlock;
  const int64_t sumStride = plan.paddedRows * plan.couts + kWinogradBlock;

  // Input [block][lattice][2 pairs + 2 planes][tile][16], sums [lattice][2 pairs][tile][couts].
  void run(const float* input, int64_t blockStride, const float* weights, float* sums) const {
    constexpr int64_t kSlack = 33 * kWinogradBlock;  // tiles read beyond their last row
    const int64_t floats = 4 * (productStride + sumStride) + kSlack;
    auto* products = static_cast<float*>(threadScratch(0, size_t(floats) * sizeof(float)));
    float* out = products + 4 * productStride + kSlack;
    std::vector<int64_t> offsets;
    for (int64_t b = 0; b < plan.blocks; ++b) offsets.push_back(b * blockFloats);
    for (int64_t first = 0; first < plan.count; first += plan.group) {
      // The last group may be smaller: what is multiplied beyond it is of the group before, or whatever the scratch
      // held, and goes nowhere.
      const int64_t some = std::min(plan.group, plan.count - first);
      for (int64_t b = 0; b < plan.blocks; ++b)
        for (int64_t n = 0; n < some; ++n)
          for (int64_t pair = 0; pair < pairs; ++pair) {
            const float* from =
                input + b * blockStride + ((first + n) * (2 * pairs + 2) + 2 * pair) * inFloats;
            const float* four[4] = {from, from + inFloats, from + 2 * inFloats,
                                    from + 3 * inFloats};
            RVX_ISA_CALL(winogradDepthLoad)
            (four, inFloats, products + b * blockFloats + (n * pairs + pair) * inFloats,
             productStride);
          }
      for (int64_t q = 0; q < 4; ++q)
        plan.multiply(products + q * productStride, offsets.data(),
                      weights + q * plan.productFloats(), out + q * sumStride);
      for (int64_t n = 0; n < some; ++n)
        for (int64_t pair = 0; pair < pairs; ++pair) {
          float* to = sums + ((first + n) * 2 * pairs + 2 * pair) * outFloats;
          RVX_ISA_CALL(winogradDepthStore)
          (out + (n * pairs + pair) * outFloats, sumStride, outFloats, to, to + outFloats);
        }
    }
  }
};

}  // namespace

WinogradInput::WinogradInput(const Gather& g, const WinogradPlan& plan, Context& cx)
    : g_(g),
      // An odd last pair has a plane that is not used.
      inPlanes_((plan.outputs[0] + 1) / 2 * 2 + 2),
      inFloats_(plan.tilesH * plan.tilesW * kWinogradBlock),
      blockStride_(plan.count * inPlanes_ * inFloats_),
      // A stride of a power of two would put all points into the same sets of the first cache.
      pointStride_(plan.blocks * blockStride_ + kWinogradBlock),
      input_(cx, size_t(kWinogradPoints * pointStride_) * sizeof(float)) {
  const WinogradSource source = plan.source(g);
  const double microseconds = g.microseconds() / kWinogradGain;
  parallelFor(plan.count * inPlanes_, microseconds, [&](int64_t task) {
    const Lattice lattice = source.lattice(task / inPlanes_);
    const int64_t z = task % inPlanes_ + lattice.first[0];
    float* plane = input_.data() + task * inFloats_;
    if (z < 0 || z >= lattice.size[0]) {
      for (int64_t p = 0; p < kWinogradPoints; ++p)
        for (int64_t b = 0; b < plan.blocks; ++b)
          std::fill_n(plane + p * pointStride_ + b * blockStride_, inFloats_, 0.0f);
      return;
    }
    auto* buffer =
        static_cast<float*>(threadScratch(0, size_t(source.bufferFloats()) * sizeof(float)));
    for (int64_t r = 0; r < plan.tilesH; ++r)
      winogradInput(source, lattice, z, r, plane + r * plan.tilesW * kWinogradBlock, pointStride_,
                    blockStride_, buffer);
  });
}

void WinogradInput::multiply(const WinogradPlan& plan, const float* weights, const float* bias,
                             Context& cx) const {
  require(plan.order == WinogradPlan::Order::points, "InternalError",
          "A convolution was planned in strips and run by points");
  const PointProducts products{plan};
  const int64_t outPlanes = inPlanes_ - 2;
  const int64_t sumStride = plan.count * outPlanes * products.outFloats + kWinogradBlock;
  Workspace sums(cx, size_t(kWinogradPoints * sumStride) * sizeof(float));
  const double microseconds = g_.microseconds() / kWinogradGain;
  parallelFor(kWinogradPoints, microseconds, [&](int64_t p) {
    products.run(input_.data() + p * pointStride_, blockStride_, weights + p * plan.weightPoint(),
                 sums.data() + p * sumStride);
  });
  const int64_t planes = plan.outputs[0], tasks = plan.count * planes;
  const int64_t channels = plan.channelCount;
  std::vector<Moments> moments(g_.sums ? size_t(tasks * channels) : 0);
  std::vector<double> voxels(static_cast<size_t>(tasks));
  parallelFor(tasks, microseconds, [&](int64_t task) {
    const Lattice lattice = plan.output(g_, task / planes);
    const int64_t d = task % planes;
    if (d >= lattice.size[0]) return;
    auto* some = static_cast<float*>(threadScratch(0, size_t(2 * plan.couts) * sizeof(float)));
    const float* from = sums.data() + (task / planes * outPlanes + d) * products.outFloats;
    for (int64_t r = 0; r < plan.tilesH; ++r) {
      const int64_t stored =
          winogradOutput(g_, plan, lattice, d, r, from + r * plan.tilesW * plan.couts, sumStride,
                         bias, g_.sums ? some : nullptr);
      for (int64_t c = 0; stored > 0 && g_.sums && c < channels; ++c)
        moments[size_t(task * channels + c)].merge(voxels[size_t(task)],
                                                   {some[c], some[plan.couts + c]}, double(stored));
      voxels[size_t(task)] += double(stored);
    }
  });
  if (g_.sums)
    mergeMoments(moments, voxels, g_.samples, tasks / g_.samples, channels,
                 g_.sums + 2 * plan.firstChannel, g_.cout);
}

}  // namespace rvx::cpu
