#include "cpu/pointwise.h"

#include <algorithm>

#include "core/pool.h"
#include "cpu/isa/pointwise.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kVoxelsPerTask = 8192;

}  // namespace

bool pointwiseFits(const Gather& g) {
  for (size_t a = 0; a < 3; ++a) {
    const GatherAxis& axis = g.axes[a];
    if (axis.offset.size() != 1 || axis.offset[0] != 0 || axis.step != 1 || axis.spread != 1 ||
        axis.start != 0 || axis.outputs != g.inSize[a] || g.outSize[a] != g.inSize[a])
      return false;
  }
  const bool whole = std::all_of(g.sources.begin(), g.sources.end(), [](const GatherSource& s) {
    return s.channels % kPointwiseChannels == 0;
  });
  return whole && g.kernel == Int3{1, 1, 1} && g.parts.size() == 1 && g.parts[0].y == 0 &&
         !g.sums && g.cout <= kPointwiseResults;
}

void runPointwise(const Gather& g, Context& cx) {
  const int64_t cin = g.cin(), voxels = g.inSize[0] * g.inSize[1] * g.inSize[2];
  const Workspace memory(cx, size_t(g.cout * (cin + 1)) * sizeof(float));
  float *weight = memory.data(), *bias = weight + g.cout * cin;
  for (int64_t co = 0; co < g.cout; ++co) {
    for (int64_t ci = 0; ci < cin; ++ci)
      weight[co * cin + ci] = g.weight[g.parts[0].weight + co * g.weightCo + ci * g.weightCi];
    bias[co] = g.bias ? g.bias[co] : 0;
  }
  const int64_t tasks = (voxels + kVoxelsPerTask - 1) / kVoxelsPerTask;
  parallelFor(g.samples * tasks, g.microseconds(), [&](int64_t task) {
    const int64_t n = task / tasks, first = task % tasks * kVoxelsPerTask;
    PointwiseRun job;
    for (size_t s = 0; s < 2; ++s) {
      const GatherSource& from = g.sources[s];
      job.x[s] = from.channels > 0 ? from.x + (n * voxels + first) * from.channels : nullptr;
      job.channels[s] = from.channels;
      job.scale[s] = from.scale ? from.scale + n * from.channels : nullptr;
      job.shift[s] = from.shift ? from.shift + n * from.channels : nullptr;
    }
    job.slope = g.slope;
    job.weight = weight;
    job.bias = bias;
    job.voxels = std::min(kVoxelsPerTask, voxels - first);
    job.results = static_cast<int>(g.cout);
    job.y = g.y + (n * voxels + first) * g.cout;
    RVX_ISA_CALL(pointwise)(job);
  });
}

}  // namespace rvx::cpu
