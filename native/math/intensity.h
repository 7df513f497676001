// How augmentation changes intensities, once for all backends: first brightness, x b; then contrast about a mean m, m + (x - m) c, held
// within low..high; then gamma on the scale of low..high: s^g, or 1 - (1 - s)^g where it is inverted (as nnU-Net's augmentation).
#pragma once
#include "math/exponential.h"

namespace rvx {

struct Intensity {
  float brightness = 1, contrast = 1, gamma = 1, low = 0, high = 1;
  bool invert = false, clip = false, curve = false;
};

// s^power of s in 0..1, 0 where s is less than 1e-30.
RVX_PORTABLE inline float unitPower(float s, float power) {
  return s < 1e-30f ? 0.0f : exponential(power * logarithm(s));
}

// `mean` is that of x, before brightness.
RVX_PORTABLE inline float adjustIntensity(float x, float mean, const Intensity& k) {
  float t = x * k.brightness;
  if (k.clip) {
    const float middle = mean * k.brightness;
    t = middle + (t - middle) * k.contrast;
    t = t < k.low ? k.low : t;
    t = t > k.high ? k.high : t;
  }
  if (!k.curve) return t;
  float s = (t - k.low) / (k.high - k.low);
  s = s < 0.0f ? 0.0f : s;
  s = s > 1.0f ? 1.0f : s;
  const float bent = k.invert ? 1.0f - unitPower(1.0f - s, k.gamma) : unitPower(s, k.gamma);
  return k.low + bent * (k.high - k.low);
}

}  // namespace rvx
