// Forms of a weight (packed, transformed) that are kept beside its buffer until that is written again.
#pragma once
#include "core/device.h"

namespace rvx::cpu {

// First in a companion's key: whose form it is.
enum WeightForm : int64_t { kWinogradForm = 3, kGatherForm = 4, kStemForm = 5 };

// The form of this key, of so many floats; `make(floats)` fills it where there is none of what the buffer holds now.
template <class Make>
const float* keptWeights(Buffer& buffer, const Companion::Key& key, int64_t floats, Make&& make) {
  Companion& kept = buffer.companion(key, size_t(floats) * sizeof(float));
  auto* weights = static_cast<float*>(kept.data);
  if (kept.made == buffer.written) return weights;
  kept.made = Companion::kNever;  // should the work be interrupted
  make(weights);
  kept.made = buffer.written;
  return weights;
}

}  // namespace rvx::cpu
