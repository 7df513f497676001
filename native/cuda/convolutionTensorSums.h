// What follows a tensor-core convolution whose blocks could not finish alone: partial sums of split steps, partial statistics.
#pragma once
#include "cuda/convolutionTensor.h"
#include "cuda/kernel.h"

namespace rvx::cuda {

// y = bias + the partials [splits][y's size], added in that order. With statistics, partial moments as mergeMoments takes them; their
// number per sample is momentParts().
void addSplits(const TensorConvolution& c, const float* partials, int splits, Context& cx);

// c.below's sums from those of parts [N, cout, parts], of g and g (y - mean), in double in a fixed order.
void mergeGradientSums(const TensorConvolution& c, const float2* sums, int parts, Context& cx);

// sums [N, C, 2] of mean and M2 of parts [N, C, parts, 2] with counts [N, parts], in double in a fixed order.
void mergeMoments(const char* name, const float* moments, const float* counts, int samples,
                  int channels, int parts, float* sums, Context& cx);

}  // namespace rvx::cuda
