// Labels by interpolated logits, once for all backends.
#pragma once
#include "math/cell.h"

namespace rvx {

// The class k with the greatest value(k), the lowest of equals.
template <class Value>
RVX_PORTABLE inline int64_t greatestClass(int64_t classes, Value value) {
  int64_t best = 0;
  float most = value(0);
  for (int64_t k = 1; k < classes; ++k) {
    const float v = value(k);
    if (v > most) best = k, most = v;
  }
  return best;
}

// The component of the corner of largest weight that has one (the first of equals), 0 if none has.
template <class Component>
RVX_PORTABLE inline int64_t nearestComponent(const Cell (&cell)[3], Component component) {
  int64_t best = 0;
  float most = 0;
  for (int corner = 0; corner < 8; ++corner) {
    const float weight = cornerWeight(cell, corner);
    if (weight <= most) continue;
    const int64_t k = component(corner);
    if (k > 0) best = k, most = weight;
  }
  return best;
}

}  // namespace rvx
