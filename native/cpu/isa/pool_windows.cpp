// The extremes of windows of 2x2x2 voxels by sign (math/maximum.h), channels in vectors; what is left of them one by one.
// Least bytes: y read, a window's extreme written.
#include "cpu/pool_windows.h"

#include "cpu/isa/vector.h"
#include "math/maximum.h"

namespace rvx::cpu::RVX_ISA {
namespace {

using namespace rvx::RVX_ISA;

inline Vec flippedVec(Vec v, IntVec flip) { return (Vec)((IntVec)v ^ flip); }

// rvx::maximum
inline Vec maximumVec(Vec a, Vec b) {
  const Vec equal = (Vec)((IntVec)a & (IntVec)b);
  const Vec best = select(a == b, equal, select(a > b, a, b));
  return select((a == a) & (b == b), best, splat(__builtin_nanf("")));
}

template <class Visit>
inline void eachVoxel(const WindowRow& r, const float* first, Visit&& visit) {
  for (int t = 0; t < 8; ++t)
    visit(first + (t >> 2) * r.plane + (t >> 1 & 1) * r.row + (t & 1) * r.channels);
}

}  // namespace

void poolWindowRow(const WindowRow& r) {
  for (int64_t o = 0; o < r.columns; ++o) {
    const float* first = r.y + 2 * o * r.channels;
    float* pooled = r.pooled + o * r.channels;
    int64_t c = 0;
    for (; c + kLanes <= r.channels; c += kLanes) {
      const IntVec flip = (load(r.sign + c) < Vec{}) & (IntVec{} + INT32_MIN);
      Vec best = splat(-__builtin_inff());
      eachVoxel(r, first + c,
                [&](const float* v) { best = maximumVec(best, flippedVec(load(v), flip)); });
      store(pooled + c, flippedVec(best, flip));
    }
    for (; c < r.channels; ++c) {
      const uint32_t flip = poolFlip(r.sign[c]);
      float best = -__builtin_inff();
      eachVoxel(r, first + c, [&](const float* v) { best = maximum(best, flipped(*v, flip)); });
      pooled[c] = flipped(best, flip);
    }
  }
}

}  // namespace rvx::cpu::RVX_ISA
