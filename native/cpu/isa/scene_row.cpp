// Plain loops without branches, for the compiler to vectorise: so every function of math/ that they call must become part of them.
#define RVX_PORTABLE_INLINE
#if defined(__GNUC__) && !defined(__clang__)
// A comparison may be made for voxels that do not need it; its result is the same.
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/scene_row.h"

namespace rvx::cpu::RVX_ISA {
namespace {

// The primitive's row with two of its fields known to the compiler, which then knows each loop's operations.
struct Known {
  float field[kPrimitiveSize];
};
template <int RoundXy, int RoundZ, bool Bump>
void ellipsoidDistances(const float* primitive, const float* __restrict x,
                        const float* __restrict y, const float* __restrict z, int64_t n,
                        float* __restrict out) {
  Known k;
  for (int i = 0; i < kPrimitiveSize; ++i) k.field[i] = primitive[i];
  k.field[kRoundXy] = RoundXy, k.field[kRoundZ] = RoundZ;
  if (!Bump) k.field[kBump] = 0;
  if (Bump && !(k.field[kBump] > 0)) __builtin_unreachable();
  for (int64_t i = 0; i < n; ++i) out[i] = superellipsoidDistance(k.field, x[i], y[i], z[i]);
}

void coneDistances(const float* primitive, const float* __restrict x, const float* __restrict y,
                   const float* __restrict z, int64_t n, float* __restrict out) {
  Known k;
  for (int i = 0; i < kPrimitiveSize; ++i) k.field[i] = primitive[i];
  for (int64_t i = 0; i < n; ++i) out[i] = roundConeDistance(k.field, x[i], y[i], z[i]);
}

using Distances = void (*)(const float*, const float*, const float*, const float*, int64_t, float*);
template <int RoundXy, int RoundZ>
Distances withBump(const float* s) {
  return s[kBump] > 0 ? &ellipsoidDistances<RoundXy, RoundZ, true>
                      : &ellipsoidDistances<RoundXy, RoundZ, false>;
}
// nullptr: shapes that scenes do not have.
Distances distancesOf(const float* s) {
  if (s[kKind] != 0) return &coneDistances;
  if (s[kRoundXy] == 1 && s[kRoundZ] == 1) return withBump<1, 1>(s);
  if (s[kRoundXy] == 2 && s[kRoundZ] == 1) return withBump<2, 1>(s);
  if (s[kRoundXy] == 1 && s[kRoundZ] == 2) return withBump<1, 2>(s);
  return nullptr;
}

// Turns a surface inside out and clips it, as primitiveDistance does.
void shapeDistances(const float* s, const float* __restrict x, const float* __restrict y,
                    const float* __restrict z, int64_t n, float* __restrict distance) {
  if (s[kInvert] != 0)
    for (int64_t i = 0; i < n; ++i) distance[i] = -distance[i];
  if (s[kClip] == 0 && s[kClip + 1] == 0 && s[kClip + 2] == 0) return;
  const float a = s[kClip], b = s[kClip + 1], c = s[kClip + 2], at = s[kClipAt];
  const float cx = s[kCentre], cy = s[kCentre + 1], cz = s[kCentre + 2];
  for (int64_t i = 0; i < n; ++i) {
    const float beyond = a * (x[i] - cx) + b * (y[i] - cy) + c * (z[i] - cz) - at;
    distance[i] = beyond > distance[i] ? beyond : distance[i];
  }
}

// What paintVoxel does, without its branches: a share of 0 leaves a voxel as it is.
void blend(const SceneRow& r, const Brush& brush, const float* __restrict share,
           const float* __restrict inside) {
  float* __restrict hu = r.hu, * __restrict fine = r.fine, * __restrict coarse = r.coarse;
  uint8_t* __restrict tissue = r.tissue, * __restrict label = r.label, * __restrict instance = r.instance;
  const uint32_t over = brush.over ? brush.over : ~0u;
  const float newHu = brush.hu, newFine = brush.fine, newCoarse = brush.coarse;
  const uint8_t newTissue = brush.tissue;
  // What `own` must exceed: 1 never does.
  const float labelled = brush.label >= 0 ? 0.0f : 1.0f,
              counted = brush.instance >= 0 ? 0.0f : 1.0f;
  const auto newLabel = static_cast<uint8_t>(brush.label),
             newInstance = static_cast<uint8_t>(brush.instance);
  const int64_t n = r.n;
  for (int64_t i = 0; i < n; ++i) {
    const uint8_t t = tissue[i], l = label[i], k = instance[i];
    const float whole = share[i], part = (over >> t & 1u) != 0 ? whole : 0.0f;
    const float own = part > 0 ? inside[i] : 0.0f;
    hu[i] += part * (newHu - hu[i]);
    fine[i] += part * (newFine - fine[i]);
    coarse[i] += part * (newCoarse - coarse[i]);
    tissue[i] = own > 0 ? newTissue : t;
    label[i] = own > labelled ? newLabel : l;
    instance[i] = own > counted ? newInstance : k;
  }
}

}  // namespace

void paintRow(const SceneRow& row, const float* primitive, float voxel, const float* px,
              const float* py, const float* pz) {
  const Brush brush(primitive, voxel);
  const int64_t n = row.n;
  float* __restrict distance = row.scratch, * __restrict share = row.scratch + n;
  if (const Distances distances = distancesOf(primitive)) {
    distances(primitive, px, py, pz, n, distance);
    shapeDistances(primitive, px, py, pz, n, distance);
  } else {
    for (int64_t i = 0; i < n; ++i) distance[i] = primitiveDistance(primitive, px[i], py[i], pz[i]);
  }
  const float width = brush.width;
  for (int64_t i = 0; i < n; ++i) share[i] = coverage(distance[i], width);
  int32_t any = 0;
  for (int64_t i = 0; i < n; ++i) any |= share[i] > 0 ? 1 : 0;
  if (any == 0) return;
  // From here on: 1 where the voxel becomes the primitive's, else 0.
  float* __restrict inside = distance;
  for (int64_t i = 0; i < n; ++i) inside[i] = distance[i] < 0 ? 1.0f : 0.0f;
  if (brush.patches) {
    const float* __restrict x = row.x, * __restrict y = row.y, * __restrict z = row.z;
    for (int64_t i = 0; i < n; ++i) {
      const float patch = patchShare(primitive, x[i], y[i], z[i]);
      share[i] *= patch;
      inside[i] = patch < 0.5f ? 0.0f : inside[i];
    }
  }
  blend(row, brush, share, inside);
}

void textureRow(const SceneRow& row, const Textures& textures) {
  const float* __restrict x = row.x, * __restrict y = row.y, * __restrict z = row.z;
  const float* __restrict fine = row.fine, * __restrict coarse = row.coarse;
  float* __restrict hu = row.hu;
  const uint32_t first = textures.seed, second = mix(textures.seed + 1);
  const float a = textures.fineRate, b = textures.coarseRate;
  // `textured` without its branches: an SD of 0 adds nothing.
  for (int64_t i = 0; i < row.n; ++i) {
    const float base = hu[i] + fine[i] * latticeNoise(x[i] * a, y[i] * a, z[i] * a, first);
    hu[i] = base + coarse[i] * latticeNoise(x[i] * b, y[i] * b, z[i] * b, second);
  }
}

}  // namespace rvx::cpu::RVX_ISA
