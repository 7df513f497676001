// One row (along W) of a max pooling and of its gradient.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

struct PoolRow {
  const float* x;  // the sample
  int64_t height, width, channels;
  int64_t kernel, stride, padding;
  int64_t d, h;            // first input plane and row of the windows, may lie outside
  int64_t depth, columns;  // planes of the sample, windows of the row
  const float *scale, *shift;
  float slope;
  float* y;
  uint8_t* indices;
};

struct PoolGradRow {
  const float* dy;  // the sample
  const uint8_t* indices;
  int64_t depth, height, width, channels;  // of dy
  int64_t kernel, stride, padding;
  int64_t d, h, columns;  // the input row and its length
  float* dx;
};

RVX_ISA_DECLARE(void maxPoolRow(const PoolRow& row); void maxPoolGradRow(const PoolGradRow& row);)

}  // namespace rvx::cpu
