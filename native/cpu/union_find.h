// Union-find over numbered elements, the lower number being the root, by path halving: the result does
// not depend on the order of the unions. Elements of a volume are numbered plane by plane.
#pragma once
#include <algorithm>
#include <cstdint>

#include "core/pool.h"

namespace rvx::cpu {

static inline int32_t root(int32_t* parent, int32_t i) {
  while (parent[i] != i) i = parent[i] = parent[parent[i]];
  return i;
}

static inline void unite(int32_t* parent, int32_t a, int32_t b) {
  // In a large component most pairs are united already, and know it by one look.
  if (parent[a] == parent[b]) return;
  a = root(parent, a);
  b = root(parent, b);
  if (a < b)
    parent[b] = a;
  else
    parent[a] = b;
}

// Unites planes 0..D-1 so that no two tasks share a tree: slab(begin, end) inside a slab of planes, then
// border(d) planes d - 1 and d of neighbouring slabs, in rounds of doubling width.
template <class Slab, class Border>
void uniteBySlabs(int64_t D, Slab&& slab, Border&& border) {
  constexpr int64_t kSlabs = 16;
  const int64_t planes = (D + kSlabs - 1) / kSlabs;
  const int64_t slabs = (D + planes - 1) / planes;
  parallelFor(slabs, [&](int64_t s) { slab(s * planes, std::min(D, (s + 1) * planes)); });
  for (int64_t width = 1; width < slabs; width *= 2) {
    const int64_t pairs = (slabs - width + 2 * width - 1) / (2 * width);
    parallelFor(pairs, [&](int64_t pair) { border((2 * pair + 1) * width * planes); });
  }
}

}  // namespace rvx::cpu
