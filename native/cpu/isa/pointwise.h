// A voxel's few sums over its channels, for convolutions without neighbours (cpu/pointwise.cpp).
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx {

constexpr int kPointwiseChannels = 16;  // of a source, a multiple of these
constexpr int kPointwiseResults = 4;    // at most

struct PointwiseRun {
  const float* x[2];                 // voxel by voxel; the second one's may be nullptr
  int64_t channels[2];               // of a voxel
  const float *scale[2], *shift[2];  // by channel; nullptr: x as it is, without slope
  float slope;
  const float* weight;  // [results][channels of both]
  const float* bias;    // [results]
  int64_t voxels;
  int results;
  float* y;  // [voxels][results]
};

RVX_ISA_DECLARE(void pointwise(const PointwiseRun& run);)

}  // namespace rvx
