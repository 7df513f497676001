// Formulas of norms, once for all backends; ops/norms.h has them as a whole.
#pragma once
#include <cmath>

#include "math/activation.h"
#include "math/portable.h"

namespace rvx {

// One channel: its statistics as ops/norms.h splits them, gamma and beta. In double, for tables of floats.
struct ChannelNorm {
  double mean, rest, rstd, gamma, beta;

  // gamma xhat + beta = (x - mean) scale + shift
  RVX_PORTABLE double scale() const { return gamma * rstd; }
  RVX_PORTABLE double shift() const { return beta - rest * gamma * rstd; }
  // dx = scale (g - m1 - ((x - mean) - rest) rstd m2) = scale g + ((x - mean) gradientRate + gradientShift), with the means m1 of g and
  // m2 of g xhat.
  RVX_PORTABLE double gradientRate(double m2) const { return -scale() * rstd * m2; }
  RVX_PORTABLE double gradientShift(double m1, double m2) const {
    return scale() * (rest * rstd * m2 - m1);
  }
  // Sum of g xhat of the sums of g and of g (x - mean).
  RVX_PORTABLE double sumOfProducts(double sum, double products) const {
    return (products - rest * sum) * rstd;
  }
};

// What forms dx of one channel: (dy, x) -> scale leaky'(z) dy + ((x - mean) rate + offset), z = (x - mean) scale + shift.
struct NormGradientChannel {
  float mean, scale, shift, rate, offset;
};

RVX_PORTABLE inline ChannelNorm channelNorm(const float* statistics, float gamma, float beta) {
  return {static_cast<double>(statistics[0]), static_cast<double>(statistics[1]),
          static_cast<double>(statistics[2]), static_cast<double>(gamma),
          static_cast<double>(beta)};
}

RVX_PORTABLE inline void storeStatistics(float* statistics, double mean, double variance,
                                         double eps) {
  statistics[0] = static_cast<float>(mean);
  statistics[1] = static_cast<float>(mean - static_cast<double>(statistics[0]));
  statistics[2] = static_cast<float>(1 / std::sqrt(variance + eps));
}

// `m1`, `m2`: the means of g and g xhat, zeros where the statistics are constants.
RVX_PORTABLE inline NormGradientChannel gradientChannel(const ChannelNorm& k, double m1,
                                                        double m2) {
  return {static_cast<float>(k.mean), static_cast<float>(k.scale()), static_cast<float>(k.shift()),
          static_cast<float>(k.gradientRate(m2)), static_cast<float>(k.gradientShift(m1, m2))};
}

// What multiplies x where the statistics are known beforehand.
RVX_PORTABLE inline double fixedScale(double gamma, double variance, double eps) {
  return gamma / std::sqrt(variance + eps);
}

// For one value; `deviation` is x - mean.
RVX_PORTABLE inline float normalised(float deviation, float scale, float shift) {
  return deviation * scale + shift;
}
RVX_PORTABLE inline float normalisedGradient(float g, float deviation, float scale, float rate,
                                             float shift) {
  return scale * g + (deviation * rate + shift);
}
RVX_PORTABLE inline float formedGradient(const NormGradientChannel& k, float dy, float x,
                                         float slope) {
  const float t = x - k.mean;
  return normalisedGradient(leakyReluGrad(normalised(t, k.scale, k.shift), dy, slope), t, k.scale,
                            k.rate, k.offset);
}

}  // namespace rvx
