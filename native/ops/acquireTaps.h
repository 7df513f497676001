// The Gaussians of acquire and raggedMask, and what both backends derive from the operations' attributes.
#pragma once
#include <algorithm>
#include <cmath>
#include <vector>

#include "math/acquire.h"
#include "math/gaussian.h"
#include "ops/drawing.h"

namespace rvx {

// Gaussian of SD `sigma` voxels, cut at 3 SD, sum 1. One weight where sigma is 0.
inline std::vector<float> kernelOf(double sigma) {
  const int64_t radius =
      sigma > 0 ? std::max<int64_t>(1, static_cast<int64_t>(std::ceil(3 * sigma))) : 0;
  return gaussianTaps(sigma, radius);
}

// Root of the sum of squares: what blurring leaves of white noise's SD.
inline double remainder(const std::vector<float>& k) {
  double sum = 0;
  for (float w : k) sum += static_cast<double>(w) * w;
  return std::sqrt(sum);
}

// What blurred white noise is multiplied with.
inline float noiseScale(double noise, const std::vector<float>* kernels) {
  return static_cast<float>(
      noise / (remainder(kernels[0]) * remainder(kernels[1]) * remainder(kernels[2])));
}

inline RaggedOutline outlineOf(const RaggedMask& op) {
  return {static_cast<uint32_t>(op.seed), static_cast<float>(1 / op.scale),
          static_cast<float>(op.shift), static_cast<float>(op.ragged),
          static_cast<float>(0.38 / op.blur)};
}

}  // namespace rvx
