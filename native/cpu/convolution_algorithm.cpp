// Which algorithm computes a convolution: the one place where that is chosen.
#include <algorithm>

#include "cpu/isa/gather_tile.h"
#include "cpu/winograd_gradient.h"
#include "cpu/winograd_plan.h"
#include "cpu/winograd_stem.h"

namespace rvx::cpu {
namespace {

// Measured (docs/cpu-convolution.md): Winograd's form wins by 2.1 to 4.0 wherever its tiles are filled, with
// AVX2 and AVX-512, in all three passes. It loses where lanes of 16 are half empty, where tiles hang over
// the edge, and on volumes so small that transforming the weights, which training does at each call,
// or bringing their gradient back counts.
bool winogradPays(int64_t cin, int64_t cout, int64_t samples, const Int3& outputs,
                  const Lattices& lattices) {
  if (std::min(cin, cout) < 8 || cin * cout < 128) return false;
  const Int3 largest = lattices.largest(outputs);
  int64_t voxels = samples, tiled = samples;
  for (size_t a = 0; a < 3; ++a) {
    const int64_t tile = a == 0 ? 2 : kWinogradTile;
    voxels *= outputs[a];
    tiled *= lattices.count[a] * ((largest[a] + tile - 1) / tile * tile);
  }
  return voxels >= 512 && 5 * voxels >= 2 * tiled;
}

bool pays(const Gather& g) {
  return winogradPays(g.cin(), g.cout, g.samples, g.outSize, {dilationOf(g), g.outSize});
}

// Measured likewise: with few input channels Winograd's form wins by 1.2 to 5 where it halves the
// multiplications at least, tiles that hang over the edge along H included (along W the direct form has
// tiles too), unless so few products go into a sum, by so few output channels, that transforms count
// for more.
bool stemPays(const Gather& g) {
  if (!stemFits(g) || g.cout < 4) return false;
  const StemAxis h(g.axes[1]), w(g.axes[2]);
  const int64_t rows = g.axes[1].outputs,
                voxels = g.samples * g.axes[0].outputs * rows * g.axes[2].outputs;
  const int64_t direct = rows * kStemTile * h.taps * w.taps, products = h.entries * w.entries;
  const int64_t depth = int64_t(g.axes[0].offset.size()) * g.cin();
  return voxels >= 1024 && direct >= 2 * h.tiles * products &&
         g.cout * depth * products >= 48 * h.points * w.points;
}

bool pays(const WeightGradient& g) {
  return winogradPays(g.fineChannels(), g.coarseChannels, g.samples, g.coarseSize,
                      {g.dilation, g.coarseSize});
}

}  // namespace

// An ordinary store reads the line that it writes to first. Twice 16 MiB: machines with larger last caches lend each core a share.
bool Gather::passesCaches() const {
  constexpr int64_t kBytes = 32 << 20, kLineFloats = 16;
  const int64_t floats = samples * outSize[0] * outSize[1] * outSize[2] * cout;
  return floats * int64_t(sizeof(float)) >= kBytes && cout % kLineFloats == 0 &&
         reinterpret_cast<uintptr_t>(y) % (kLineFloats * sizeof(float)) == 0;
}

// Two multiply-adds a nanosecond and lane, two floats a nanosecond read or written.
double Gather::microseconds() const {
  auto voxels = double(samples), taps = 1.0;
  for (const GatherAxis& a : axes) {
    voxels *= double(a.outputs);
    taps *= double(a.offset.size());
  }
  const auto results = double(parts.size() * size_t(cout)), read = double(cin());
  return voxels * (taps * read * results / RVX_ISA_CALL(vectorLanes)() + read + results) / 2000;
}

void runConvolution(const Gather& g, Algorithm algorithm, Context& cx) {
  const bool fits = winogradFits(g);
  require(fits || algorithm != Algorithm::winograd, "InternalError",
          "Winograd's form was asked of a convolution that it cannot compute");
  const bool empty = g.samples * g.cin() * g.cout == 0;  // which the gather knows
  if (fits && !empty &&
      (algorithm == Algorithm::winograd || (algorithm == Algorithm::automatic && pays(g))))
    runWinograd(g, cx);
  else if (algorithm == Algorithm::automatic && stemPays(g))
    runWinogradStem(g, cx);
  else
    runGather(g, cx);
}

void runWeightGradient(const WeightGradient& g, Algorithm algorithm, Context& cx) {
  const bool fits = winogradGradientFits(g);
  require(fits || algorithm != Algorithm::winograd, "InternalError",
          "Winograd's form was asked of a weight gradient that it cannot compute");
  if (fits && !g.empty() &&
      (algorithm == Algorithm::winograd || (algorithm == Algorithm::automatic && pays(g))))
    runWinogradGradient(g, cx);
  else
    runWeightGradient(g, cx);
}

}  // namespace rvx::cpu
