// The bin of a value in a histogram of whole numbers: low, low + 1, ..., low + bins - 1, the ends taking what lies beyond.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

// -1 for NaN, which is not counted. Halves are rounded up.
RVX_PORTABLE inline int32_t histogramBin(float value, int32_t low, int32_t bins) {
  if (value != value) return -1;
  const float from = value + 0.5f - static_cast<float>(low);
  if (from < 0) return 0;
  if (from >= static_cast<float>(bins)) return bins - 1;
  return static_cast<int32_t>(from);
}

}  // namespace rvx
