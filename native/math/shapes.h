// Primitives of drawScene: one row of kPrimitiveSize floats each, and the signed distance to its
// surface (negative inside), to first order, in mm. lib/phantom/scene.ts writes the rows; both list
// the fields in the same order.
#pragma once
#include <cmath>
#include <cstdint>

#include "math/noise.h"
#include "math/portable.h"

namespace rvx {

// Where each field of a primitive lies in its row.
enum PrimitiveField : int {
  kKind = 0,      // 0 superellipsoid, 1 round cone
  kTissue = 1,    // tissue written, 0..23
  kLabel = 2,     // label written; -1 leaves what is there
  kInstance = 3,  // instance written; -1 leaves what is there
  kOver = 4,      // bit t: paints over tissue t; 0: over everything
  kHu = 5,
  kFineSd = 6,      // HU, texture of drawScene's fine scale
  kCoarseSd = 7,    // HU, texture of its coarse scale
  kPatchSize = 8,   // mm; > 0: painted only where smooth noise of this size ..
  kPatchLevel = 9,  // .. exceeds this many standard deviations
  kSoftness = 10,   // mm added to the width of the blended edge
  kFixed = 11,      // 1: not displaced by the deformation
  kCentre = 12,     // mm, 3; round cone: the first end
  kAxes = 15,       // 3x3, rows = the body's axes; round cone: the second end in the first three
  kRadii = 24,      // mm, 3; round cone: the radii of the two ends
  kRoundXy = 27,    // log2 of the exponent of the superellipse in the first two axes (1 = ellipse)
  kRoundZ = 28,     // the same between them and the third axis
  kBend = 29,       // mm by which the ends of the third axis bend toward +first axis
  kBump = 30,       // share of the radius by which the surface undulates
  kBumpRate = 31,   // radians per radius of that undulation
  kBumpPhase = 32,
  kClip = 33,    // unit normal, 3: only where normal . (p - centre) < kClipAt; 0 0 0: no clip
  kClipAt = 36,  // mm
  kInvert = 37,  // 1: paints the outside
  kPatchSeed = 38,
};
constexpr int kPrimitiveSize = 40;

// x^(2^n) and its inverse for x >= 0.
RVX_PORTABLE inline float raised(float x, int n) {
  for (int i = 0; i < n; ++i) x *= x;
  return x;
}
RVX_PORTABLE inline float root(float x, int n) {
  for (int i = 0; i < n; ++i) x = std::sqrt(x);
  return x;
}

// Odd, smooth, of period 4, within 1e-3 of sin(pi/2 x): enough for undulations, the same bits
// everywhere.
RVX_PORTABLE inline float wave(float x) {
  x -= 4.0f * static_cast<float>(floorInt(0.25f * x + 0.5f));  // -2..2
  const float y = x * (2.0f - (x < 0 ? -x : x));               // parabola of sin(pi/2 x)
  return y * (0.775f + 0.225f * (y < 0 ? -y : y));
}

RVX_PORTABLE inline float superellipsoidDistance(const float* s, float x, float y, float z) {
  x -= s[kCentre], y -= s[kCentre + 1], z -= s[kCentre + 2];
  const float* m = s + kAxes;
  const float ra = 1.0f / s[kRadii], rb = 1.0f / s[kRadii + 1], rc = 1.0f / s[kRadii + 2];
  float a = m[0] * x + m[1] * y + m[2] * z, b = m[3] * x + m[4] * y + m[5] * z,
        c = m[6] * x + m[7] * y + m[8] * z;
  const float v = b * rb, w = c * rc;
  a -= s[kBend] * w * w;
  const float u = a * ra;
  const int nxy = static_cast<int>(s[kRoundXy]), nz = static_cast<int>(s[kRoundZ]);
  float k, distance;
  if (nxy == 1 && nz == 1) {
    const float k2 = u * u + v * v + w * w;
    const float g2 = u * ra * (u * ra) + v * rb * (v * rb) + w * rc * (w * rc);
    k = std::sqrt(k2);
    distance = (k - 1.0f) * k / (std::sqrt(g2) + 1e-12f);
  } else {
    const float p = raised(u * u, nxy - 1) + raised(v * v, nxy - 1);
    const float inPlane = nxy >= nz ? raised(root(p, nxy), nz) : raised(p, nz - nxy);
    k = root(inPlane + raised(w * w, nz - 1), nz);
    distance = std::sqrt(a * a + b * b + c * c) * (k - 1.0f) / (k + 1e-12f);
  }
  if (s[kBump] > 0) {
    const float f = s[kBumpRate], h = s[kBumpPhase];
    const float bump = wave(f * u + h) * wave(f * v + 1.7f * h) +
                       wave(f * v + 2.3f * h) * wave(f * w + 3.1f * h) +
                       wave(f * w + 0.6f * h) * wave(f * u + 4.3f * h);
    const float r = s[kRadii] < s[kRadii + 1] ? s[kRadii] : s[kRadii + 1];
    distance += s[kBump] * bump * (r < s[kRadii + 2] ? r : s[kRadii + 2]);
  }
  return distance;
}

// Round cone: spheres of radius linear in the place along the axis; exact where both radii agree.
RVX_PORTABLE inline float roundConeDistance(const float* s, float x, float y, float z) {
  const float px = x - s[kCentre], py = y - s[kCentre + 1], pz = z - s[kCentre + 2];
  const float ax = s[kAxes] - s[kCentre], ay = s[kAxes + 1] - s[kCentre + 1],
              az = s[kAxes + 2] - s[kCentre + 2];
  const float length2 = ax * ax + ay * ay + az * az;
  float t = (px * ax + py * ay + pz * az) / (length2 + 1e-12f);
  t = t < 0 ? 0 : t > 1 ? 1 : t;
  const float dx = px - t * ax, dy = py - t * ay, dz = pz - t * az;
  return std::sqrt(dx * dx + dy * dy + dz * dz) - lerp(s[kRadii], s[kRadii + 1], t);
}

// Signed distance in mm to the surface of what a primitive paints at a displaced point.
RVX_PORTABLE inline float primitiveDistance(const float* s, float x, float y, float z) {
  float distance =
      s[kKind] == 0 ? superellipsoidDistance(s, x, y, z) : roundConeDistance(s, x, y, z);
  if (s[kInvert] != 0) distance = -distance;
  if (s[kClip] != 0 || s[kClip + 1] != 0 || s[kClip + 2] != 0) {
    const float beyond = s[kClip] * (x - s[kCentre]) + s[kClip + 1] * (y - s[kCentre + 1]) +
                         s[kClip + 2] * (z - s[kCentre + 2]) - s[kClipAt];
    distance = beyond > distance ? beyond : distance;
  }
  return distance;
}

// How far the primitive's patches cover a displaced point, 0..1: they fade over 0.4 SD of the noise.
RVX_PORTABLE inline float patchShare(const float* s, float x, float y, float z) {
  const float rate = 1.0f / s[kPatchSize];
  const float n = latticeNoise(x * rate, y * rate, z * rate, static_cast<uint32_t>(s[kPatchSeed]));
  const float c = 0.5f + (n - s[kPatchLevel]) * 2.5f;
  return c < 0 ? 0 : c > 1 ? 1 : c;
}

// Share of a voxel that lies inside a surface at this distance from its centre.
RVX_PORTABLE inline float coverage(float distance, float width) {
  const float c = 0.5f - distance / width;
  return c < 0 ? 0 : c > 1 ? 1 : c;
}

// Half the size along each coordinate axis of a box round the primitive's centre (superellipsoid),
// undulation and bend included. A superellipsoid of higher exponent reaches its box's corners.
RVX_PORTABLE inline void superellipsoidReach(const float* s, float* reach) {
  const float* r = s + kRadii;
  const float least = r[0] < r[1] ? (r[0] < r[2] ? r[0] : r[2]) : (r[1] < r[2] ? r[1] : r[2]);
  const float bump = 3.0f * s[kBump] * least;
  const bool round = s[kRoundXy] == 1 && s[kRoundZ] == 1;
  const float bend = s[kBend] < 0 ? -s[kBend] : s[kBend];
  for (int i = 0; i < 3; ++i) {
    const float e[3] = {s[kAxes + i] * (r[0] + bend), s[kAxes + 3 + i] * r[1],
                        s[kAxes + 6 + i] * r[2]};
    if (round && bend == 0) {
      reach[i] = std::sqrt(e[0] * e[0] + e[1] * e[1] + e[2] * e[2]);
    } else {
      reach[i] = 0;
      for (float x : e) reach[i] += x < 0 ? -x : x;
    }
    reach[i] += bump;
  }
}

}  // namespace rvx
