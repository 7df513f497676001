// Mean and sum of squared deviations of every channel of every sample.
//
// Per chunk of voxels: two passes about a provisional mean, in double; chunks are merged in order
// (Chan, Golub, LeVeque 1983). Least bytes: one read of y; a chunk's second pass hits the cache.
#include <algorithm>
#include <vector>

#include "core/pool.h"
#include "cpu/convolution.h"

namespace rvx::cpu {

void momentsPerChannel(const float* y, int64_t samples, int64_t voxels, int64_t channels,
                       float* sums, Context& cx) {
  const int64_t grain = std::max<int64_t>(1, (1 << 14) / std::max<int64_t>(1, channels));
  const int64_t chunks = (voxels + grain - 1) / grain;
  Workspace partials(cx, std::max<size_t>(1, size_t(samples * chunks * channels) * 16));
  double* moments = partials.data<double>();
  parallelFor(samples * chunks, [&](int64_t task) {
    const int64_t n = task / chunks, begin = task % chunks * grain;
    const int64_t end = std::min(voxels, begin + grain);
    double *mean = moments + task * channels * 2, *m2 = mean + channels;
    std::fill(mean, mean + 2 * channels, 0.0);
    const float* first = y + (n * voxels + begin) * channels;
    const int64_t count = end - begin;
    for (int64_t v = 0; v < count; ++v)
      for (int64_t c = 0; c < channels; ++c) mean[c] += first[v * channels + c];
    for (int64_t c = 0; c < channels; ++c) mean[c] /= double(count);
    for (int64_t v = 0; v < count; ++v)
      for (int64_t c = 0; c < channels; ++c) {
        const double d = first[v * channels + c] - mean[c];
        m2[c] += d * d;
      }
  });
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t c = 0; c < channels; ++c) {
      double count = 0, mean = 0, m2 = 0;
      for (int64_t k = 0; k < chunks; ++k) {
        const double* part = moments + (n * chunks + k) * channels * 2 + c;
        const auto added = double(std::min(grain, voxels - k * grain));
        const double total = count + added, delta = part[0] - mean;
        mean += delta * added / total;
        m2 += part[channels] + delta * delta * count * added / total;
        count = total;
      }
      sums[(n * channels + c) * 2] = float(mean);
      sums[(n * channels + c) * 2 + 1] = float(m2);
    }
}

}  // namespace rvx::cpu
