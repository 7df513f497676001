// The HU window, once for all backends: stored value v -> HU = v * slope + intercept -> clipped to
// level -+ width / 2 -> scaled to low..high.
#pragma once
#include <limits>

#include "math/portable.h"

namespace rvx {

// y = clip((v - origin) * factor + base). Subtracting first keeps whole HU exact, so that the error is
// that of the last two roundings.
struct Window {
  float origin = 0, factor = 1, base = 0;
  float low = -std::numeric_limits<float>::infinity();
  float high = std::numeric_limits<float>::infinity();
};

// Only slope and intercept, nothing clipped.
inline Window linearWindow(double slope, double intercept) {
  Window w;
  w.factor = static_cast<float>(slope);
  w.base = static_cast<float>(intercept);
  return w;
}

// slope must not be 0, width must be greater than 0.
inline Window hounsfieldWindow(double slope, double intercept, double level, double width,
                               double low, double high) {
  Window w;
  w.origin = static_cast<float>((level - width / 2 - intercept) / slope);
  w.factor = static_cast<float>(slope * (high - low) / width);
  w.base = w.low = static_cast<float>(low);
  w.high = static_cast<float>(high);
  return w;
}

// NaN stays NaN.
RVX_PORTABLE inline float applyWindow(float v, const Window& w) {
  const float t = (v - w.origin) * w.factor + w.base;
  const float above = t < w.low ? w.low : t;
  return above > w.high ? w.high : above;
}

// d applyWindow / dv; 0 where clipped.
RVX_PORTABLE inline float windowGradient(float v, const Window& w) {
  const float t = (v - w.origin) * w.factor + w.base;
  return t < w.low || t > w.high ? 0.0f : w.factor;
}

}  // namespace rvx
