// The affines of an operation that resamples, on the host.
#pragma once
#include <vector>

#include "ops/sampling.h"

namespace rvx::cuda {

// One for each sample: the attribute, or the rows of the tensor. A tensor's numbers are read back (a counted read-back of at most
// 96 bytes a sample): broken ones must end in InvalidArgument, and which kernel runs hangs on whether the axes are kept apart.
std::vector<Affine> affinesOf(const OptionalInput& map, const Affine& attribute, int64_t samples,
                              Context& cx);

// As kernels take it.
struct AffineNumbers {
  double m[12];
  explicit AffineNumbers(const Affine& a) {
    for (size_t i = 0; i < 12; ++i) m[i] = a[i];
  }
};

}  // namespace rvx::cuda
