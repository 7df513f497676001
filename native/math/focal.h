// The focal loss (Lin et al. 2017, arXiv 1708.02002), once for all backends: (1 - p)^focus (-log p) of the target's probability p. Its
// gradient with respect to the logits is that of the cross entropy, times (1 - p)^focus - focus (1 - p)^(focus - 1) p log p.
#pragma once
#include "math/exponential.h"

namespace rvx {

// (1 - p)^power; p within 1e-30 of 1 counts as that far away.
RVX_PORTABLE inline float missPower(float p, float power) {
  const float miss = 1.0f - p;
  return exponential(power * logarithm(miss < 1e-30f ? 1e-30f : miss));
}

// What multiplies the cross entropy `loss` = -log p of a voxel.
RVX_PORTABLE inline float focalLoss(float loss, float focus) {
  return missPower(exponential(-loss), focus) * loss;
}

// What multiplies its gradient. focus >= 1.
RVX_PORTABLE inline float focalRate(float p, float focus) {
  const float log = logarithm(p < 1e-30f ? 1e-30f : p);
  return missPower(p, focus) - focus * missPower(p, focus - 1.0f) * p * log;
}

}  // namespace rvx
