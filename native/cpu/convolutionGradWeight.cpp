// Weight gradients: partial sums per strip of rows, added in order.
#include "cpu/convolutionGradWeight.h"

#include <algorithm>
#include <vector>

#include "core/pool.h"

namespace rvx::cpu {

void runWeightGradient(const WeightGradient& g, Context& cx) {
  const int64_t a = g.coarseChannels, b = g.fineChannels;
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2], size = a * b;
  const int64_t rows = g.samples * g.coarseSize[0] * g.coarseSize[1];
  const int64_t strips =
      std::clamp<int64_t>((int64_t{4} << 20) / std::max<int64_t>(1, taps * size), 1, 16);
  Workspace partials(cx, std::max<size_t>(1, size_t(strips * taps * size)) * sizeof(float));
  parallelFor(strips * taps, [&](int64_t task) {
    const int64_t strip = task / taps, tap = task % taps;
    const int64_t kd = tap / (g.kernel[1] * g.kernel[2]), kh = tap / g.kernel[2] % g.kernel[1],
                  kw = tap % g.kernel[2];
    float* sum = partials.data() + (strip * taps + tap) * size;
    std::fill(sum, sum + size, 0.0f);
    auto* line = static_cast<float*>(threadScratch(0, size_t(size) * sizeof(float)));
    for (int64_t row = rows * strip / strips; row < rows * (strip + 1) / strips; ++row) {
      const int64_t n = row / (g.coarseSize[0] * g.coarseSize[1]);
      const int64_t d = row / g.coarseSize[1] % g.coarseSize[0], h = row % g.coarseSize[1];
      const int64_t zd = d * g.stride[0] - g.padding[0] + kd * g.dilation[0];
      const int64_t zh = h * g.stride[1] - g.padding[1] + kh * g.dilation[1];
      if (zd < 0 || zd >= g.fineSize[0] || zh < 0 || zh >= g.fineSize[1]) continue;
      std::fill(line, line + size, 0.0f);
      for (int64_t w = 0; w < g.coarseSize[2]; ++w) {
        const int64_t zw = w * g.stride[2] - g.padding[2] + kw * g.dilation[2];
        if (zw < 0 || zw >= g.fineSize[2]) continue;
        const float* dy = g.coarse + (row * g.coarseSize[2] + w) * a;
        const float* x =
            g.fine + (((n * g.fineSize[0] + zd) * g.fineSize[1] + zh) * g.fineSize[2] + zw) * b;
        for (int64_t j = 0; j < b; ++j)
          for (int64_t i = 0; i < a; ++i) line[j * a + i] += x[j] * dy[i];
      }
      for (int64_t i = 0; i < size; ++i) sum[i] += line[i];
    }
  });
  parallelFor(a, [&](int64_t i) {
    for (int64_t j = 0; j < b; ++j)
      for (int64_t tap = 0; tap < taps; ++tap) {
        float sum = 0;
        for (int64_t strip = 0; strip < strips; ++strip)
          sum += partials.data()[(strip * taps + tap) * size + j * a + i];
        g.dw[(i * g.dwChannels + g.dwFirst + j) * taps + tap] = sum;
      }
  });
}

void runBiasGradient(const float* dy, int64_t voxels, int64_t channels, float* db, Context& cx) {
  const int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, channels));
  const int64_t chunks = (voxels + grain - 1) / grain;
  Workspace partials(cx, std::max<size_t>(1, size_t(chunks * channels)) * sizeof(double));
  parallelFor(chunks, [&](int64_t chunk) {
    double* sum = partials.data<double>() + chunk * channels;
    std::fill(sum, sum + channels, 0.0);
    const int64_t end = std::min(voxels, (chunk + 1) * grain);
    for (int64_t v = chunk * grain; v < end; ++v)
      for (int64_t c = 0; c < channels; ++c) sum[c] += dy[v * channels + c];
  });
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      sum += partials.data<double>()[chunk * channels + c];
    db[c] = float(sum);
  }
}

}  // namespace rvx::cpu
