// One class of one sample in the soft Dice loss, once for all backends; formulas in ops/classes.h.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

struct DiceRule {
  double smooth;
  bool includeBackground, skipAbsent;
};

// Its weight in the mean, from its number of target voxels.
RVX_PORTABLE inline double diceWeight(const DiceRule& rule, int64_t c, double targets,
                                      double classWeight) {
  if (c == 0 && !rule.includeBackground) return 0;
  if (rule.skipAbsent && targets == 0) return 0;
  return classWeight;
}

// Its weighted share of the mean, from sum p t, sum p and sum t.
RVX_PORTABLE inline double diceTerm(const DiceRule& rule, double weight, double both, double p,
                                    double t) {
  return weight * (2 * both + rule.smooth) / (p + t + rule.smooth);
}

// dloss/dp where the target is another class, and where it is this one.
struct DiceSlopes {
  float absent, present;
};
// `factor` is the gradient of the loss times this class's part of all weights.
RVX_PORTABLE inline DiceSlopes diceSlopes(const DiceRule& rule, double factor, const float* sums) {
  const double intersection = 2.0 * static_cast<double>(sums[0]) + rule.smooth;
  const double both = static_cast<double>(sums[1]) + static_cast<double>(sums[2]) + rule.smooth;
  return {static_cast<float>(factor * intersection / (both * both)),
          static_cast<float>(factor * (intersection / both - 2) / both)};
}

}  // namespace rvx
