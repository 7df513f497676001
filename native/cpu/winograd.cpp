// Winograd's convolution (winograd_plan.h) from a gather: plan, weights, one of the two orders. Transformed weights are kept beside
// the weight's buffer, where the gather names it, until that is written again; those so large that keeping them would be a burden are
// made at each call, a range of output channels at a time.
#include <algorithm>

#include "cpu/kept_weights.h"
#include "cpu/winograd_plan.h"

namespace rvx::cpu {
namespace {

// 128 channels to 256 come to 19 MB, 256 to 256 to 38.
constexpr int64_t kKeptBytes = 16 << 20;
// Of the channels that are transformed at a time: fewer would transform the input along D too often. With few tiles to
// multiply a weight by that costs less than its way to memory and back: then ranges are so small that 256 channels to
// one are 2.4 MB.
constexpr int64_t kRangeBytes = 40 << 20;
constexpr int64_t kFewTiles = 32, kFewTilesRange = 16;

int64_t bytesOf(const WinogradPlan& plan) { return plan.weightFloats() * int64_t(sizeof(float)); }

void runRanges(const Gather& g, const WinogradPlan& whole, Context& cx) {
  const int64_t least = 2 * whole.lanes;
  const int64_t tiles = whole.count * ((whole.outputs[0] + 1) / 2) * whole.tilesH * whole.tilesW;
  const int64_t share = kRangeBytes / bytesOf(WinogradPlan::ofRange(g, 0, least)) * least;
  const int64_t range = tiles <= kFewTiles ? kFewTilesRange : std::max(least, share);
  const auto largest = WinogradPlan::ofRange(g, 0, std::min(range, g.cout));
  const WinogradInput input(g, largest, cx);
  Workspace weights(cx, size_t(bytesOf(largest)));
  for (int64_t first = 0; first < g.cout; first += range) {
    const auto plan = WinogradPlan::ofRange(g, first, std::min(range, g.cout - first));
    winogradWeights(g, plan, weights.data());
    input.multiply(plan, weights.data(), winogradBias(g, plan).data(), cx);
  }
}

}  // namespace

void runWinograd(const Gather& g, Context& cx) {
  if (g.samples * g.axes[0].outputs * g.axes[1].outputs * g.axes[2].outputs * g.cout == 0) return;
  const WinogradPlan plan(g);
  if (plan.order == WinogradPlan::Order::points && bytesOf(plan) > kKeptBytes)
    return runRanges(g, plan, cx);
  const std::vector<float> bias = winogradBias(g, plan);
  const auto run = [&](const float* weights) {
    if (plan.order == WinogradPlan::Order::strips)
      winogradStrips(g, plan, weights, bias.data());
    else
      WinogradInput(g, plan, cx).multiply(plan, weights, bias.data(), cx);
  };
  if (!g.weightBuffer) {
    Workspace weights(cx, size_t(bytesOf(plan)));
    winogradWeights(g, plan, weights.data());
    return run(weights.data());
  }
  run(keptWeights(*g.weightBuffer, {kWinogradForm, plan.lanes, plan.cin, g.cout},
                  plan.weightFloats(), [&](float* weights) { winogradWeights(g, plan, weights); }));
}

}  // namespace rvx::cpu
