// Convolutions 1x1x1 into few channels: the head of a U-Net. Bound by memory.
#pragma once
#include "cpu/convolution.h"

namespace rvx::cpu {

// Whether every voxel of y is a few sums over one voxel of x, of channels in multiples of 16.
bool pointwiseFits(const Gather& g);
void runPointwise(const Gather& g, Context& cx);

}  // namespace rvx::cpu
