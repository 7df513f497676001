// The maximum of a window, once for all backends: the first of equal values stays; a NaN is a maximum and stays.
#pragma once
#include "math/portable.h"

namespace rvx {

RVX_PORTABLE inline bool replacesMaximum(float value, float best) {
  return !(value <= best) & (best == best);
}

}  // namespace rvx
