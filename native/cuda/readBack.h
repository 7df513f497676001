// A figure that decides how much memory an operation takes: read from the GPU, which the host waits for.
#pragma once
#include "ops/operation.h"

namespace rvx::cuda {

inline int32_t readBack(Context& cx, const int32_t* figure) {
  int32_t value = 0;
  cx.device.copyOut(&value, figure, sizeof value);
  cx.device.transfers.readbacks++;
  cx.device.transfers.readbackBytes += sizeof value;
  return value;
}

}  // namespace rvx::cuda
