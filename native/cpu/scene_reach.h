// Whether a primitive of drawScene paints nothing in a whole box of points, told from bounds of what primitiveDistance (math/shapes.h)
// returns there. Never wrong when it says so: a bound is of the formula as it is computed, not of the shape, with room for rounding.
#pragma once
#include <algorithm>
#include <cmath>

#include "math/shapes.h"

namespace rvx::cpu {

class SceneReach {
 public:
  // margin: mm beyond the surface to which it may paint.
  SceneReach(const float* s, double margin) : margin_(static_cast<float>(margin) * 1.0001f) {
    clipped_ = s[kClip] != 0 || s[kClip + 1] != 0 || s[kClip + 2] != 0;
    if (s[kKind] == 0) {
      for (int k = 0; k < 3; ++k) rate_[k] = 1.0f / s[kRadii + k];
      least_ = std::min({s[kRadii], s[kRadii + 1], s[kRadii + 2]});
      // Each of three products of waves lies within 1.
      if (s[kBump] > 0) margin_ += 3.01f * s[kBump] * least_;
    } else {
      float length2 = 0;
      for (int k = 0; k < 3; ++k) {
        axis_[k] = s[kAxes + k] - s[kCentre + k];
        length2 += axis_[k] * axis_[k];
      }
      length_ = std::sqrt(length2);
    }
  }

  // The box: its centre, and half its edges.
  bool misses(const float* s, const float* centre, const float* half) const {
    const float p[3] = {centre[0] - s[kCentre], centre[1] - s[kCentre + 1],
                        centre[2] - s[kCentre + 2]};
    if (clipped_) {
      const float across = extent(s + kClip, half);
      if (dot(s + kClip, p) - s[kClipAt] - across >= margin_) return true;
    }
    if (s[kInvert] != 0) return false;
    return s[kKind] == 0 ? ellipsoidMisses(s, p, half) : coneMisses(s, p, half);
  }

 private:
  // mm that rounding may move a point by: places are below some 1000 mm.
  static constexpr float kSlack = 0.003f;

  static float dot(const float* a, const float* b) {
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
  }
  // Half of what a box spans along a direction.
  static float extent(const float* a, const float* half) {
    return std::abs(a[0]) * half[0] + std::abs(a[1]) * half[1] + std::abs(a[2]) * half[2] + kSlack;
  }

  bool ellipsoidMisses(const float* s, const float* p, const float* half) const {
    float low[3], high[3];  // |along the axes|, mm
    for (int k = 0; k < 3; ++k) {
      const float* axis = s + kAxes + 3 * k;
      float middle = dot(axis, p), span = extent(axis, half);
      low[k] = middle - span, high[k] = middle + span;
    }
    fold(low[2], high[2]);
    fold(low[1], high[1]);
    if (s[kBend] != 0) {
      // a - bend w^2, w from low to high
      const float near = low[2] * rate_[2], far = high[2] * rate_[2];
      const float one = s[kBend] * near * near, other = s[kBend] * far * far;
      low[0] -= std::max(one, other) + kSlack, high[0] -= std::min(one, other) - kSlack;
    }
    fold(low[0], high[0]);
    float k2 = 0, g2 = 0, length2 = 0, greatest = 0;
    for (int k = 0; k < 3; ++k) {
      const float u = low[k] * rate_[k], g = high[k] * rate_[k] * rate_[k];
      k2 += u * u, g2 += g * g, length2 += low[k] * low[k], greatest = std::max(greatest, u);
    }
    if (s[kRoundXy] == 1 && s[kRoundZ] == 1) {
      // (k - 1) k / g, g within k / the least radius
      const float k = std::sqrt(k2) * 0.9999f;
      return k > 1 && (k - 1) * std::max(least_, k / std::sqrt(g2)) * 0.999f >= margin_;
    }
    // |p| (k - 1) / k, k no less than the greatest of u, v, w
    const float k = greatest * 0.9999f;
    return k > 1 && std::sqrt(length2) * (1 - 1 / k) * 0.999f >= margin_;
  }

  bool coneMisses(const float* s, const float* p, const float* half) const {
    const float radius = std::sqrt(dot(half, half)) + kSlack;
    const float t = length_ > 0 ? dot(p, axis_) / (length_ * length_) : 0.5f;
    const float dt = length_ > 0 ? radius / length_ + 1e-3f : 1.0f;
    const auto held = [](float x) { return x < 0 ? 0.0f : x > 1 ? 1.0f : x; };
    const float on = held(t);
    const float d[3] = {p[0] - on * axis_[0], p[1] - on * axis_[1], p[2] - on * axis_[2]};
    const float r0 = s[kRadii], r1 = s[kRadii + 1];
    const float most = std::max(lerp(r0, r1, held(t - dt)), lerp(r0, r1, held(t + dt)));
    return std::sqrt(dot(d, d)) * 0.9999f - radius - most >= margin_;
  }

  // An interval of x to one of |x|.
  static void fold(float& low, float& high) {
    const float least = std::max({low, -high, 0.0f}), most = std::max(-low, high);
    low = least, high = most;
  }

  float margin_, least_ = 0, length_ = 0;
  float rate_[3] = {}, axis_[3] = {};
  bool clipped_;
};

}  // namespace rvx::cpu
