// What follows a convolution by FFMA whose blocks could not finish alone: partial sums of split channels, partial statistics.
#pragma once
#include "cuda/convolutionExact.h"

namespace rvx::cuda {

// The blocks of a sample that addExactSplits makes, and whose moments it writes.
int64_t exactSplitBlocks(int64_t voxels);

// y = bias + the partials [splits][y's size], added in that order. Where moments are there, also [N, blocks, cout] of them: pivot, sum of
// deviations from it, of their squares, count.
void addExactSplits(Context& cx, const std::string& name, const ExactGather& g,
                    const float* partials, int64_t splits, float4* moments);

// g.sums of moments [N, blocks, cout] as above, in double in a fixed order.
void mergeExactMoments(Context& cx, const std::string& name, const ExactGather& g,
                       const float4* moments, int64_t blocks);

}  // namespace rvx::cuda
