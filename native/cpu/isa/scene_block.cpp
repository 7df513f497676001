// Loops of drawScene over the voxels of a block. Distances are plain loops without branches, for the compiler to vectorise: so every
// function of math/ that they call must become part of them.
#define RVX_PORTABLE_INLINE
#if defined(__GNUC__) && !defined(__clang__)
// A comparison may be made for voxels that do not need it; its result is the same.
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/scene_block.h"

#include <algorithm>

#include "cpu/isa/vector.h"

namespace rvx::cpu::RVX_ISA {
namespace {

using namespace rvx::RVX_ISA;

static_assert(kBlockWidth % kLanes == 0);

// The places along W of a block's voxels from `first` on, the grid's last one repeated.
Vec placesFrom(const SceneBlock& b, int64_t first) {
  Vec w;
  for (int l = 0; l < kLanes; ++l)
    w[l] = static_cast<float>(b.at[2] + std::min<int64_t>(first + l, b.n[2] - 1));
  return w;
}

// Points of the grid, in mm.
struct Points {
  Vec q[3];
  Points(const IndexToMm& map, float d, float h, Vec w) {
    for (int r = 0; r < 3; ++r)
      q[r] = map.m[4 * r] * d + map.m[4 * r + 1] * h + map.m[4 * r + 2] * w + map.m[4 * r + 3];
  }
};

// DisplacementField::at for a vector of points: cell by cell, as neighbours seldom lie in many.
void displace(const DisplacementField& field, Vec* q) {
  Vec f[3];
  int32_t cell[3][kLanes];
  IntVec cells[3];
  for (int k = 0; k < 3; ++k) {
    const float last = static_cast<float>(field.n[k] - 1);
    const Vec place = (q[k] - field.start[k]) * field.rate[k];
    const Vec above = place < Vec{} ? Vec{} : place;
    const Vec c = splat(last) < above ? splat(last) : above;
    const auto most = static_cast<int32_t>(std::max<int64_t>(field.n[k] - 2, 0));
    const IntVec node = __builtin_convertvector(c, IntVec), end = IntVec{} + most;
    cells[k] = end < node ? end : node;
    f[k] = c - __builtin_convertvector(cells[k], Vec);
    std::memcpy(cell[k], &cells[k], sizeof cells[k]);
  }
  uint32_t left = (1u << kLanes) - 1;
  Vec u[3] = {};
  while (left) {
    const int l = __builtin_ctz(left);
    const int64_t here[3] = {cell[0][l], cell[1][l], cell[2][l]};
    const IntVec same =
        (cells[0] == cell[0][l]) & (cells[1] == cell[1][l]) & (cells[2] == cell[2][l]);
    Vec v[3];
    field.within(here, f, v);
    for (int k = 0; k < 3; ++k) u[k] = same ? v[k] : u[k];
    left &= ~bitsOf(same);
  }
  for (int k = 0; k < 3; ++k) q[k] += u[k];
}

float leastOf(Vec v) {
  float least = v[0];
  for (int l = 1; l < kLanes; ++l) least = std::min(least, v[l]);
  return least;
}
float mostOf(Vec v) { return -leastOf(-v); }

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

void allDistances(const float* s, const float* x, const float* y, const float* z, int64_t n,
                  float* distance) {
  if (const Distances distances = distancesOf(s)) {
    distances(s, x, y, z, n, distance);
    shapeDistances(s, x, y, z, n, distance);
  } else {
    for (int64_t i = 0; i < n; ++i) distance[i] = primitiveDistance(s, x[i], y[i], z[i]);
  }
}

// patchShare of a vector of points.
Vec patchShares(const float* primitive, const float* x, const float* y, const float* z) {
  alignas(64) float patch[kLanes];
  for (int l = 0; l < kLanes; ++l) patch[l] = patchShare(primitive, x[l], y[l], z[l]);
  return load(patch);
}

IntVec chosen(IntVec where, int value, IntVec old) { return where ? IntVec{} + value : old; }

// What paintVoxel does to a vector of voxels, without its branches: a share of 0 leaves a voxel as it is. Returns whether the tissue of
// one became another.
bool blend(SceneBlock& b, int64_t i, const Brush& brush, const float* primitive, Vec share,
           Vec distance) {
  const IntVec tissue = loadBytes(b.tissue + i);
  if (brush.over) {
    const IntVec seen = ((IntVec{} + static_cast<int32_t>(brush.over)) >> tissue) & 1;
    share = seen != 0 ? share : Vec{};
  }
  if (bitsOf(share > Vec{}) == 0) return false;
  IntVec own = distance < Vec{};
  if (brush.patches) {
    const Vec patch = patchShares(primitive, b.x + i, b.y + i, b.z + i);
    share *= patch;
    own &= ~(patch < splat(0.5f));
  }
  own &= share > Vec{};
  const Vec hu = load(b.hu + i), fine = load(b.fine + i), coarse = load(b.coarse + i);
  store(b.hu + i, hu + share * (brush.hu - hu));
  store(b.fine + i, fine + share * (brush.fine - fine));
  store(b.coarse + i, coarse + share * (brush.coarse - coarse));
  if (bitsOf(own) == 0) return false;
  storeBytes(b.tissue + i, chosen(own, brush.tissue, tissue));
  if (brush.label >= 0)
    storeBytes(b.label + i, chosen(own, static_cast<uint8_t>(brush.label), loadBytes(b.label + i)));
  if (brush.instance >= 0)
    storeBytes(b.instance + i,
               chosen(own, static_cast<uint8_t>(brush.instance), loadBytes(b.instance + i)));
  return true;
}

uint32_t tissuesOf(const SceneBlock& b) {
  IntVec all = {};
  for (int64_t i = 0; i < kBlockVoxels; i += kLanes)
    all |= (IntVec{} + 1) << loadBytes(b.tissue + i);
  uint32_t tissues = 0;
  for (int l = 0; l < kLanes; ++l) tissues |= static_cast<uint32_t>(all[l]);
  return tissues;
}

}  // namespace

void openBlock(SceneBlock& b, const IndexToMm& map, const DisplacementField& field) {
  std::fill_n(b.hu, kBlockVoxels, kAir);
  std::fill_n(b.fine, kBlockVoxels, 0.0f);
  std::fill_n(b.coarse, kBlockVoxels, 0.0f);
  std::fill_n(b.tissue, kBlockVoxels, uint8_t{0});
  std::fill_n(b.label, kBlockVoxels, uint8_t{0});
  std::fill_n(b.instance, kBlockVoxels, uint8_t{0});
  b.fixed = false, b.tissues = 1;
  Vec least[3], most[3];
  for (int k = 0; k < 3; ++k) least[k] = splat(1e30f), most[k] = splat(-1e30f);
  Vec place[kBlockWidth / kLanes];
  for (int64_t w = 0; w < kBlockWidth; w += kLanes) place[w / kLanes] = placesFrom(b, w);
  for (int64_t d = 0; d < b.n[0]; ++d)
    for (int64_t h = 0; h < b.n[1]; ++h)
      for (int64_t w = 0; w < kBlockWidth; w += kLanes) {
        Points points(map, static_cast<float>(b.at[0] + d), static_cast<float>(b.at[1] + h),
                      place[w / kLanes]);
        Vec* p = points.q;
        if (field.data) displace(field, p);
        const int64_t i = (d * kBlockHeight + h) * kBlockWidth + w;
        store(b.x + i, p[0]), store(b.y + i, p[1]), store(b.z + i, p[2]);
        for (int k = 0; k < 3; ++k) least[k] = -max(-least[k], -p[k]), most[k] = max(most[k], p[k]);
      }
  for (int k = 0; k < 3; ++k) b.low[k] = leastOf(least[k]), b.high[k] = mostOf(most[k]);
}

void fixBlock(SceneBlock& b, const IndexToMm& map) {
  b.fixed = true;
  for (int64_t d = 0; d < b.n[0]; ++d)
    for (int64_t h = 0; h < b.n[1]; ++h)
      for (int64_t w = 0; w < kBlockWidth; w += kLanes) {
        const Points points(map, static_cast<float>(b.at[0] + d), static_cast<float>(b.at[1] + h),
                            placesFrom(b, w));
        const int64_t i = (d * kBlockHeight + h) * kBlockWidth + w;
        store(b.fixedX + i, points.q[0]), store(b.fixedY + i, points.q[1]);
        store(b.fixedZ + i, points.q[2]);
      }
}

void paintBlock(SceneBlock& b, const BlockPart& part, const float* primitive, float voxel,
                bool fixed) {
  const Brush brush(primitive, voxel);
  const int64_t first = part.row * kBlockWidth, n = part.rows * kBlockWidth;
  const float *x = fixed ? b.fixedX : b.x, *y = fixed ? b.fixedY : b.y, *z = fixed ? b.fixedZ : b.z;
  allDistances(primitive, x + first, y + first, z + first, n, b.distance + first);
  bool changed = false;
  for (int64_t w = 0; w < kBlockWidth; w += kLanes) {
    if (w >= part.to || w + kLanes <= part.from) continue;
    IntVec within;
    for (int l = 0; l < kLanes; ++l) within[l] = w + l >= part.from && w + l < part.to ? -1 : 0;
    for (int64_t i = first + w; i < first + n; i += kBlockWidth) {
      const Vec distance = load(b.distance + i);
      // `coverage`.
      const Vec c = 0.5f - distance / brush.width;
      Vec share = c < Vec{} ? Vec{} : c > splat(1) ? splat(1) : c;
      share = within ? share : Vec{};
      if (bitsOf(share > Vec{}) == 0) continue;
      changed |= blend(b, i, brush, primitive, share, distance);
    }
  }
  if (changed) b.tissues = tissuesOf(b);
}

void textureBlock(SceneBlock& b, const Textures& textures) {
  const uint32_t first = textures.seed, second = mix(textures.seed + 1);
  const float r = textures.fineRate, s = textures.coarseRate;
  for (int64_t row = 0; row < kBlockVoxels; row += kLanes) {
    const float *x = b.x + row, *y = b.y + row, *z = b.z + row;
    const Vec fine = load(b.fine + row), coarse = load(b.coarse + row);
    if (bitsOf((fine > Vec{}) | (coarse > Vec{})) == 0) continue;
    // `textured` without its branches: an SD of 0 adds nothing.
    alignas(64) float a[kLanes], c[kLanes];
    for (int l = 0; l < kLanes; ++l) a[l] = latticeNoise(x[l] * r, y[l] * r, z[l] * r, first);
    for (int l = 0; l < kLanes; ++l) c[l] = latticeNoise(x[l] * s, y[l] * s, z[l] * s, second);
    const Vec base = load(b.hu + row) + fine * load(a);
    store(b.hu + row, base + coarse * load(c));
  }
}

}  // namespace rvx::cpu::RVX_ISA
