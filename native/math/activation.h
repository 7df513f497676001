// Formulas of activations, once for all backends.
#pragma once
#include "math/portable.h"

namespace rvx {

RVX_PORTABLE inline float leakyRelu(float x, float slope) { return x > 0 ? x : slope * x; }
RVX_PORTABLE inline float leakyReluGrad(float x, float dy, float slope) {
  return x > 0 ? dy : slope * dy;
}

}  // namespace rvx
