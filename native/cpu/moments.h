// Statistics of channels that are summed in parts: merged in a fixed order, in double.
#pragma once
#include <cstdint>
#include <vector>

namespace rvx::cpu {

// Mean and sum of squared deviations of a union of two sets (Chan, Golub, LeVeque 1983).
struct Moments {
  double mean = 0, m2 = 0;
  void merge(double count, const Moments& other, double added) {
    const double total = count + added, delta = other.mean - mean;
    mean += delta * added / total;
    m2 += other.m2 + delta * delta * count * added / total;
  }
};

// sums [samples, `stride`, 2], of which the first `channels` are written, of `parts` for each sample: moments
// [samples * parts][channels] over values[samples * parts] values each.
inline void mergeMoments(const std::vector<Moments>& moments, const std::vector<double>& values,
                         int64_t samples, int64_t parts, int64_t channels, float* sums,
                         int64_t stride) {
  for (int64_t n = 0; n < samples; ++n)
    for (int64_t c = 0; c < channels; ++c) {
      Moments all;
      double count = 0;
      for (int64_t s = n * parts; s < (n + 1) * parts; ++s) {
        all.merge(count, moments[size_t(s * channels + c)], values[size_t(s)]);
        count += values[size_t(s)];
      }
      sums[(n * stride + c) * 2] = float(all.mean);
      sums[(n * stride + c) * 2 + 1] = float(all.m2);
    }
}
inline void mergeMoments(const std::vector<Moments>& moments, const std::vector<double>& values,
                         int64_t samples, int64_t parts, int64_t channels, float* sums) {
  mergeMoments(moments, values, samples, parts, channels, sums, channels);
}

}  // namespace rvx::cpu
