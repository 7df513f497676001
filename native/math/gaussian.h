// The taps of a sampled Gaussian, once for all backends: exp(-k^2 / (2 sigma^2)) for |k| <= radius, scaled to sum 1. Made by the
// host, in double.
#pragma once
#include <cmath>
#include <cstdint>
#include <vector>

namespace rvx {

// The radius that ends at `truncate` sigmas.
inline int64_t gaussianRadius(double sigma, double truncate) {
  return static_cast<int64_t>(truncate * sigma + 0.5);
}

// sigma in voxels; not used where the radius is 0.
inline std::vector<float> gaussianTaps(double sigma, int64_t radius) {
  if (radius == 0) return {1.0f};
  std::vector<double> w(static_cast<size_t>(2 * radius + 1));
  double sum = 0;
  for (int64_t k = -radius; k <= radius; ++k)
    sum += w[static_cast<size_t>(k + radius)] =
        std::exp(-0.5 * static_cast<double>(k * k) / (sigma * sigma));
  std::vector<float> taps(w.size());
  for (size_t i = 0; i < w.size(); ++i) taps[i] = static_cast<float>(w[i] / sum);
  return taps;
}

}  // namespace rvx
