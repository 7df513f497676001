// Which algorithm computes a convolution: the one place where that is chosen.
#include <algorithm>

#include "cpu/winograd_plan.h"

namespace rvx::cpu {
namespace {

// Measured (docs/cpu-convolution.md): Winograd's form wins by 2.1 to 4.0 wherever its tiles are filled, with
// AVX2 and AVX-512. It loses where lanes of 16 are half empty, where tiles hang over the edge,
// and on volumes so small that transforming the weights, which training does at each call, counts.
bool winogradPays(const Gather& g) {
  const int64_t cin = g.cin(), cout = g.cout;
  if (std::min(cin, cout) < 8 || cin * cout < 128) return false;
  int64_t voxels = g.samples, tiled = g.samples;
  for (size_t a = 0; a < 3; ++a) {
    const int64_t n = g.axes[a].outputs, tile = a == 0 ? 2 : kWinogradTile;
    voxels *= n;
    tiled *= (n + tile - 1) / tile * tile;
  }
  return voxels >= 512 && 5 * voxels >= 2 * tiled;
}

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
