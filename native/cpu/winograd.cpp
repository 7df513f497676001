// Winograd's convolution (winograd_plan.h) from a gather: plan, weights, one of the two orders. Transformed weights are kept beside
// the weight's buffer, where the gather names it, until that is written again.
#include "core/device.h"
#include "cpu/winograd_plan.h"

namespace rvx::cpu {
namespace {

// Which form of a weight a companion of its buffer holds.
constexpr int64_t kWinogradCompanion = 3;

}  // namespace

void runWinograd(const Gather& g, Context& cx) {
  if (g.samples * g.axes[0].outputs * g.axes[1].outputs * g.axes[2].outputs * g.cout == 0) return;
  const WinogradPlan plan(g);
  const std::vector<float> bias = winogradBias(g, plan);
  const auto run = [&](const float* weights) {
    if (plan.order == WinogradPlan::Order::strips)
      winogradStrips(g, plan, weights, bias.data());
    else
      winogradPointwise(g, plan, weights, bias.data(), cx);
  };
  if (!g.weightBuffer) {
    Workspace weights(cx, size_t(plan.weightFloats()) * sizeof(float));
    winogradWeights(g, plan, weights.data());
    return run(weights.data());
  }
  Buffer& buffer = *g.weightBuffer;
  Companion& kept = buffer.companion({kWinogradCompanion, plan.lanes, plan.cin, g.cout},
                                     size_t(plan.weightFloats()) * sizeof(float));
  if (kept.made != buffer.written) {
    kept.made = Companion::kNever;  // should the work be interrupted
    winogradWeights(g, plan, static_cast<float*>(kept.data));
    kept.made = buffer.written;
  }
  run(static_cast<const float*>(kept.data));
}

}  // namespace rvx::cpu
