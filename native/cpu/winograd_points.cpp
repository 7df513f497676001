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

struct Pointwise {
  const Gather& g;
  const WinogradPlan& plan;
  const WinogradSource source = plan.source(g);
  const int64_t planes = g.axes[0].outputs;
  const int64_t pairs = (planes + 1) / 2;
  // Planes of a sample, those of padding too; an odd last pair has one that is not used.
  const int64_t outPlanes = 2 * pairs, inPlanes = outPlanes + 2;
  const int64_t tiles = plan.tilesH * plan.tilesW;
  const int64_t inFloats = tiles * kWinogradBlock, outFloats = tiles * plan.couts;
  // Input: [point][block][sample][plane][tile][16]; output: [point][sample][plane][tile][couts].
  const int64_t blockStride = g.samples * inPlanes * inFloats;
  const int64_t pointStride = plan.blocks * blockStride + kWinogradBlock;
  const int64_t sumStride = g.samples * outPlanes * outFloats + kWinogradBlock;

  void load(float* input, int64_t n, int64_t i) const {
    const int64_t z = i + g.axes[0].offset[0];
    float* plane = input + (n * inPlanes + i) * inFloats;
    if (z < 0 || z >= g.inSize[0]) {
      for (int64_t p = 0; p < kWinogradPoints; ++p)
        for (int64_t b = 0; b < plan.blocks; ++b) {
          float* to = plane + p * pointStride + b * blockStride;
          std::fill(to, to + inFloats, 0.0f);
        }
      return;
    }
    auto* buffer =
        static_cast<float*>(threadScratch(0, size_t(source.bufferFloats()) * sizeof(float)));
    for (int64_t r = 0; r < plan.tilesH; ++r)
      winogradInput(source, n, z, r, plane + r * plan.tilesW * kWinogradBlock, pointStride,
                    blockStride, buffer);
  }

  // Products of one point (h, w): along D to four points and back, as a strip of all tiles.
  void multiply(const float* input, const float* weights, float* sums) const {
    const int64_t blockFloats = plan.paddedRows * kWinogradBlock;
    const int64_t productStride = plan.blocks * blockFloats + kWinogradBlock;
    const int64_t pointFloats = plan.paddedRows * plan.couts + kWinogradBlock;
    auto* products = static_cast<float*>(threadScratch(
        0, size_t(4 * (productStride + pointFloats) + 33 * kWinogradBlock) * sizeof(float)));
    float* out = products + 4 * productStride + 33 * kWinogradBlock;
    std::vector<int64_t> offsets;
    for (int64_t b = 0; b < plan.blocks; ++b) offsets.push_back(b * blockFloats);
    for (int64_t n = 0; n < g.samples; ++n) {
      for (int64_t b = 0; b < plan.blocks; ++b)
        for (int64_t pair = 0; pair < pairs; ++pair) {
          const float* from = input + b * blockStride + (n * inPlanes + 2 * pair) * inFloats;
          const float* four[4] = {from, from + inFloats, from + 2 * inFloats, from + 3 * inFloats};
          RVX_ISA_CALL(winogradDepthLoad)
          (four, inFloats, products + b * blockFloats + pair * inFloats, productStride);
        }
      for (int64_t q = 0; q < 4; ++q)
        plan.multiply(products + q * productStride, offsets.data(),
                      weights + q * plan.productFloats(), out + q * pointFloats);
      for (int64_t pair = 0; pair < pairs; ++pair) {
        float* to = sums + (n * outPlanes + 2 * pair) * outFloats;
        RVX_ISA_CALL(winogradDepthStore)
        (out + pair * outFloats, pointFloats, outFloats, to, to + outFloats);
      }
    }
  }

  double store(const float* sums, const float* bias, int64_t n, int64_t d, Moments* moments) const {
    auto* some = static_cast<float*>(threadScratch(0, size_t(2 * plan.couts) * sizeof(float)));
    double voxels = 0;
    for (int64_t r = 0; r < plan.tilesH; ++r) {
      const int64_t stored = winogradOutput(
          g, plan, n, d, r, sums + (n * outPlanes + d) * outFloats + r * plan.tilesW * plan.couts,
          sumStride, bias, moments ? some : nullptr);
      for (int64_t c = 0; moments && c < g.cout; ++c)
        moments[c].merge(voxels, {some[c], some[plan.couts + c]}, double(stored));
      voxels += double(stored);
    }
    return voxels;
  }
};

}  // namespace

void winogradPointwise(const Gather& g, const WinogradPlan& plan, const float* weights,
                       const float* bias, Context& cx) {
  const Pointwise work{g, plan};
  Workspace input(cx, size_t(kWinogradPoints * work.pointStride) * sizeof(float));
  Workspace sums(cx, size_t(kWinogradPoints * work.sumStride) * sizeof(float));
  parallelFor(g.samples * work.inPlanes, [&](int64_t task) {
    work.load(input.data(), task / work.inPlanes, task % work.inPlanes);
  });
  parallelFor(kWinogradPoints, [&](int64_t p) {
    work.multiply(input.data() + p * work.pointStride, weights + p * plan.weightPoint(),
                  sums.data() + p * work.sumStride);
  });
  const int64_t tasks = g.samples * work.planes;
  std::vector<Moments> moments(g.sums ? size_t(tasks * g.cout) : 0);
  std::vector<double> voxels(static_cast<size_t>(tasks));
  parallelFor(tasks, [&](int64_t task) {
    voxels[size_t(task)] = work.store(sums.data(), bias, task / work.planes, task % work.planes,
                                      g.sums ? moments.data() + task * g.cout : nullptr);
  });
  if (g.sums) mergeMoments(moments, voxels, g.samples, work.planes, g.cout, g.sums);
}

}  // namespace rvx::cpu
