// How drawScene places and paints primitives, once for all backends: the field of displacements, the voxels that a primitive may
// touch, what it does to one voxel.
#pragma once
#include <cmath>
#include <cstdint>

#include "math/shapes.h"

namespace rvx {

constexpr float kAir = -1000;  // HU

// A 3x4 affine in float: of index (d, h, w) to mm (x, y, z).
struct IndexToMm {
  float m[12];
  RVX_PORTABLE float at(int r, float d, float h, float w) const {
    return m[4 * r] * d + m[4 * r + 1] * h + m[4 * r + 2] * w + m[4 * r + 3];
  }
};

// Displacements in mm on a lattice of nodes [n[2], n[1], n[0], 3], trilinear between them, constant beyond.
struct DisplacementField {
  const float* data = nullptr;  // nullptr: there is none
  int64_t n[3] = {1, 1, 1};     // x, y, z
  float start[3] = {0, 0, 0}, rate[3] = {1, 1, 1};

  // u at q (x, y, z in mm).
  RVX_PORTABLE void at(const float* q, float* u) const {
    int64_t i[3];
    float f[3];
    for (int k = 0; k < 3; ++k) {
      const float last = static_cast<float>(n[k] - 1);
      const float place = (q[k] - start[k]) * rate[k];
      const float above = place < 0.0f ? 0.0f : place, c = last < above ? last : above;
      const int64_t node = static_cast<int64_t>(c), most = n[k] - 2 < 0 ? 0 : n[k] - 2;
      i[k] = most < node ? most : node;
      f[k] = c - static_cast<float>(i[k]);
    }
    within(i, f, u);
  }

  // u at the place f (0..1 along x, y, z) of the cell whose first node is i. F: float, or a vector of the CPU's loops.
  template <class F>
  RVX_PORTABLE void within(const int64_t* i, const F* f, F* u) const {
    const int64_t dx = n[0] > 1 ? 3 : 0, dy = n[1] > 1 ? 3 * n[0] : 0,
                  dz = n[2] > 1 ? 3 * n[0] * n[1] : 0;
    const float* p = data + 3 * ((i[2] * n[1] + i[1]) * n[0] + i[0]);
    for (int k = 0; k < 3; ++k, ++p) {
      const F a = lerp(lerp(p[0], p[dx], f[0]), lerp(p[dy], p[dy + dx], f[0]), f[1]);
      const F b =
          lerp(lerp(p[dz], p[dz + dx], f[0]), lerp(p[dz + dy], p[dz + dy + dx], f[0]), f[1]);
      u[k] = lerp(a, b, f[2]);
    }
  }

  // The nodes from..to (inclusive) round a box (mm): u inside of it stays within their extremes.
  RVX_PORTABLE void nodesRound(const double* low, const double* high, int64_t* from,
                               int64_t* to) const {
    for (int k = 0; k < 3; ++k) {
      const auto last = static_cast<double>(n[k] - 1);
      const double a = std::floor((low[k] - start[k]) * rate[k]),
                   b = std::ceil((high[k] - start[k]) * rate[k]);
      from[k] = static_cast<int64_t>(a < 0 ? 0 : a > last ? last : a);
      to[k] = static_cast<int64_t>(b < 0 ? 0 : b > last ? last : b);
    }
  }
};

// The box in mm in which the primitive may paint a displaced point.
RVX_PORTABLE inline void primitiveBox(const float* s, double margin, double* low, double* high) {
  if (s[kInvert] != 0) {
    for (int k = 0; k < 3; ++k) low[k] = -1e9, high[k] = 1e9;
    return;
  }
  float reach[3];
  if (s[kKind] == 0) superellipsoidReach(s, reach);
  for (int k = 0; k < 3; ++k) {
    if (s[kKind] == 0) {
      low[k] = s[kCentre + k] - reach[k], high[k] = s[kCentre + k] + reach[k];
    } else {
      const float a = s[kCentre + k], b = s[kAxes + k], r0 = s[kRadii], r1 = s[kRadii + 1];
      low[k] = b - r1 < a - r0 ? b - r1 : a - r0, high[k] = a + r0 < b + r1 ? b + r1 : a + r0;
    }
    low[k] -= margin, high[k] += margin;
  }
  // A clip along an axis cuts the box; oblique ones are left to the distance.
  for (int k = 0; k < 3; ++k) {
    const double above = s[kCentre + k] + s[kClipAt] + margin;
    const double below = s[kCentre + k] - s[kClipAt] - margin;
    if (s[kClip + k] == 1 && above < high[k]) high[k] = above;
    if (s[kClip + k] == -1 && below > low[k]) low[k] = below;
  }
}

// Voxels from..to-1 along D, H, W.
struct VoxelRange {
  int64_t from[3], to[3];
  RVX_PORTABLE bool any() const { return from[0] < to[0] && from[1] < to[1] && from[2] < to[2]; }
};

// The voxels in a box (mm). toIndex: mm to index, 3x4.
RVX_PORTABLE inline VoxelRange voxelsIn(const double* low, const double* high,
                                        const double* toIndex, const int64_t* shape) {
  VoxelRange range;
  for (int i = 0; i < 3; ++i) {
    double a = toIndex[4 * i + 3], b = a;
    for (int k = 0; k < 3; ++k) {
      const double e = toIndex[4 * i + k], p = e * low[k], q = e * high[k];
      a += q < p ? q : p, b += p < q ? q : p;
    }
    const auto n = static_cast<double>(shape[i]);
    const double first = std::ceil(a), end = std::floor(b) + 1;
    range.from[i] = static_cast<int64_t>(first < 0 ? 0 : first > n ? n : first);
    range.to[i] = static_cast<int64_t>(end < 0 ? 0 : end > n ? n : end);
  }
  return range;
}

// What a primitive's row says of painting.
struct Brush {
  float width, hu, fine, coarse;  // mm of the blended edge
  uint32_t over;
  int label, instance;
  uint8_t tissue;
  bool patches, fixed;

  RVX_PORTABLE Brush(const float* row, float voxel)
      : width(voxel + row[kSoftness]),
        hu(row[kHu]),
        fine(row[kFineSd]),
        coarse(row[kCoarseSd]),
        over(static_cast<uint32_t>(row[kOver])),
        label(static_cast<int>(row[kLabel])),
        instance(static_cast<int>(row[kInstance])),
        tissue(static_cast<uint8_t>(row[kTissue])),
        patches(row[kPatchSize] > 0),
        fixed(row[kFixed] != 0) {}
  // mm beyond the surface to which it may paint.
  RVX_PORTABLE double margin() const { return 0.5 * width + 0.01; }
};

// Paints one voxel at the displaced point (x, y, z) whose distance to the primitive is known. fine and coarse are the SDs of the
// textures, in HU.
RVX_PORTABLE inline void paintVoxel(const Brush& brush, const float* row, float distance, float x,
                                    float y, float z, float& hu, float& fine, float& coarse,
                                    uint8_t& tissue, uint8_t& label, uint8_t& instance) {
  float share = coverage(distance, brush.width);
  if (share <= 0) return;
  if (brush.over && !(brush.over >> tissue & 1u)) return;
  float patch = 1;
  if (brush.patches) {
    patch = patchShare(row, x, y, z);
    if (patch <= 0) return;
    share *= patch;
  }
  hu += share * (brush.hu - hu);
  fine += share * (brush.fine - fine);
  coarse += share * (brush.coarse - coarse);
  if (distance >= 0 || patch < 0.5f) return;
  tissue = brush.tissue;
  if (brush.label >= 0) label = static_cast<uint8_t>(brush.label);
  if (brush.instance >= 0) instance = static_cast<uint8_t>(brush.instance);
}

struct Textures {
  uint32_t seed;
  float fineRate, coarseRate;  // per mm
};

// HU with the textures' noise at the displaced point.
RVX_PORTABLE inline float textured(const Textures& t, float hu, float fine, float coarse, float x,
                                   float y, float z) {
  const float a = t.fineRate, b = t.coarseRate;
  if (fine > 0) hu += fine * latticeNoise(x * a, y * a, z * a, t.seed);
  if (coarse > 0) hu += coarse * latticeNoise(x * b, y * b, z * b, mix(t.seed + 1));
  return hu;
}

}  // namespace rvx
