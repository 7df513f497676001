// A row along W of Conv3d's `pooled`.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

struct WindowRow {
  const float* y;                         // the first voxel of the first window
  int64_t plane, row, columns, channels;  // strides in floats; windows
  const float* sign;
  float* pooled;
};

RVX_ISA_DECLARE(void poolWindowRow(const WindowRow& row);)

}  // namespace rvx::cpu
