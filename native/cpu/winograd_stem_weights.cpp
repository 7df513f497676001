// Weights of winograd_stem.h: each phase's taps along W and H become its points, in double, and go where
// the products want them.
#include <algorithm>

#include "core/pool.h"
#include "cpu/winograd_stem.h"

namespace rvx::cpu {
namespace {

// matrix[entry][tap of the axis]: row a of a phase of n points has a^k over the product of all a - b,
// infinity the last tap alone.
std::vector<std::vector<double>> tapMatrix(const StemAxis& axis) {
  std::vector<std::vector<double>> matrix(size_t(axis.entries),
                                          std::vector<double>(size_t(axis.taps), 0));
  for (size_t p = 0; p < axis.phases.size(); ++p) {
    const StemAxis::Phase& phase = axis.phases[p];
    const int finite = phase.points - 1;
    const auto tap = [&](int64_t k) { return p + size_t(k * axis.step); };
    for (int a = 0; a < finite; ++a) {
      double value = 1;
      for (int b = 0; b < finite; ++b)
        if (b != a) value /= kStemPoints[a] - kStemPoints[b];
      for (int64_t k = 0; k < phase.taps; ++k, value *= kStemPoints[a])
        matrix[size_t(phase.entry + a)][tap(k)] = value;
    }
    matrix[size_t(phase.entry + finite)][tap(phase.taps - 1)] = 1;
  }
  return matrix;
}

}  // namespace

void stemWeights(const Gather& g, const StemPlan& plan, float* weights) {
  const StemAxis &h = plan.h, &w = plan.w;
  const auto rows = tapMatrix(h), columns = tapMatrix(w);
  const auto planes = int64_t(g.axes[0].offset.size());
  const int64_t lanes = plan.lanes;
  // One vector of output channels and one plane of the kernel each.
  parallelFor(plan.couts / lanes * planes, [&](int64_t task) {
    const int64_t first = task / planes * lanes, d = task % planes;
    const auto& block = *std::find_if(plan.outBlocks.begin(), plan.outBlocks.end(),
                                      [&](auto& b) { return first < b.first + b.NV * lanes; });
    const int64_t width = block.NV * lanes;
    float* to = weights + block.first * plan.steps + first - block.first;
    const int64_t plane = g.axes[0].kernel[size_t(d)] * g.kernel[1];
    std::vector<double> half(size_t(h.taps * w.entries * lanes));
    std::vector<double> sum(static_cast<size_t>(lanes));
    for (int64_t ci = 0; ci < plan.cin; ++ci) {
      std::fill(half.begin(), half.end(), 0);
      for (int64_t l = 0; l < std::min(lanes, g.cout - first); ++l)
        for (int64_t y = 0; y < h.taps; ++y) {
          const float* line = g.weight + (first + l) * g.weightCo + ci * g.weightCi +
                              (plane + g.axes[1].kernel[size_t(y)]) * g.kernel[2];
          for (int64_t e = 0; e < w.entries; ++e) {
            double value = 0;
            for (int64_t x = 0; x < w.taps; ++x)
              value += columns[size_t(e)][size_t(x)] * line[g.axes[2].kernel[size_t(x)]];
            half[size_t((y * w.entries + e) * lanes + l)] = value;
          }
        }
      for (size_t point = 0; point < plan.points.size(); ++point) {
        const auto& ofW = w.entriesOf[point / size_t(h.points)];
        const auto& ofH = h.entriesOf[point % size_t(h.points)];
        int64_t step = plan.points[point].weight + d * plan.points[point].perPlane + ci;
        for (int eh : ofH)
          for (int ew : ofW) {
            std::fill(sum.begin(), sum.end(), 0);
            for (int64_t y = 0; y < h.taps; ++y) {
              const double factor = rows[size_t(eh)][size_t(y)];
              if (factor == 0) continue;
              const double* from = half.data() + (y * w.entries + ew) * lanes;
              for (int64_t l = 0; l < lanes; ++l) sum[size_t(l)] += factor * from[l];
            }
            for (int64_t l = 0; l < lanes; ++l) to[step * width + l] = float(sum[size_t(l)]);
            step += plan.cin;
          }
      }
    }
  });
}

}  // namespace rvx::cpu
