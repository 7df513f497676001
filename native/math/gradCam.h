// What a voxel adds to its channel's weight in Grad-CAM++.
#pragma once
#include "math/portable.h"

namespace rvx {

// alpha relu(g) with alpha = g^2 / (2 g^2 + S g^3), S the sum of the channel's activations: for g > 0 that is g / (2 + S g), whose limit at
// S g = -2, where the formula has no value, is left out (Chattopadhay et al. 2018, doi 10.1109/WACV.2018.00097, eq. 19: alpha is 0 there).
RVX_PORTABLE inline double plusPlusTerm(double g, double sum) {
  if (!(g > 0)) return 0;
  const double below = 2 + sum * g;
  return below != 0 ? g / below : 0;
}

}  // namespace rvx
