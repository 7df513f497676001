// Which algorithm computes a convolution: the one place where that is chosen.
#include "cpu/winograd_plan.h"

namespace rvx::cpu {
namespace {

bool winogradPays(const Gather& g) { return g.cin() >= 16 && g.cout >= 16; }

}  // namespace

void runConvolution(const Gather& g, Algorithm algorithm, Context& cx) {
  const bool fits = winogradFits(g);
  require(fits || algorithm != Algorithm::winograd, "InternalError",
          "Winograd's form was asked of a convolution that it cannot compute");
  if (fits &&
      (algorithm == Algorithm::winograd || (algorithm == Algorithm::automatic && winogradPays(g))))
    runWinograd(g, cx);
  else
    runGather(g, cx);
}

}  // namespace rvx::cpu
