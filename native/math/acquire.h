// The last steps of acquire and raggedMask at one voxel, once for all backends.
#pragma once
#include <cstdint>

#include "math/noise.h"
#include "math/portable.h"

namespace rvx {

// Clips HU to low..high and scales them to -1..1; low == high leaves them.
struct DisplayWindow {
  float low, high, rate;
  bool on;

  DisplayWindow(double least, double most)
      : low(static_cast<float>(least)), high(static_cast<float>(most)), on(most > least) {
    rate = on ? 2.0f / (high - low) : 0.0f;
  }
  RVX_PORTABLE float operator()(float v) const {
    if (!on) return v;
    const float above = v < low ? low : v;
    return ((high < above ? high : above) - low) * rate - 1.0f;
  }
  RVX_PORTABLE float bottom() const { return on ? -1.0f : low; }
};

// See RaggedMask in ops/drawing.h.
struct RaggedOutline {
  uint32_t seed;
  float rate, shift, ragged, slope;

  // Whether noise decides; elsewhere the voxel lies far inside or outside.
  RVX_PORTABLE static bool near(float soft) { return !(soft < 1e-4f || soft > 0.9999f); }
  // What `soft` must exceed where the noise is n.
  RVX_PORTABLE float limit(float n) const {
    const float level = 0.5f - slope * (shift + ragged * n);
    const float above = level < 0.1f ? 0.1f : level;
    return 0.9f < above ? 0.9f : above;
  }
  // Whether a voxel belongs to the mask in which the blurred region is `soft`.
  RVX_PORTABLE bool inside(float soft, int64_t d, int64_t h, int64_t w) const {
    if (!near(soft)) return soft > 0.5f;
    return soft > limit(latticeNoise(static_cast<float>(w) * rate, static_cast<float>(h) * rate,
                                     static_cast<float>(d) * rate, seed));
  }
};

}  // namespace rvx
