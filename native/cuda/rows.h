// Rows of a volume [N, D, H, W, C]: which one a place of the tensor lies in.
#pragma once
#include <array>

#include "cuda/launch.h"
#include "cuda/packet.h"

namespace rvx::cuda {

// A division of 64 bits is some 70 instructions, one of 32 about 20, and most tensors fit into it. Not for negative numbers.
RVX_DEVICE int64_t quotient(int64_t a, int64_t b) {
  if (((a | b) >> 32) == 0) return static_cast<uint32_t>(a) / static_cast<uint32_t>(b);
  return a / b;
}

struct RowPlace {
  int64_t n, d, h;
};
// `row` counts over n, d and h.
RVX_DEVICE RowPlace rowPlace(int64_t row, int64_t depth, int64_t height) {
  const int64_t plane = quotient(row, height), n = quotient(plane, depth);
  return {n, plane - n * depth, row - plane * height};
}

// Calls body with a null pointer to an unsigned type of `bytes` bytes: for operations that only move values.
template <class Body>
void withWidth(size_t bytes, Body&& body) {
  switch (bytes) {
    case 1:
      return body(static_cast<uint8_t*>(nullptr));
    case 2:
      return body(static_cast<uint16_t*>(nullptr));
    case 4:
      return body(static_cast<uint32_t*>(nullptr));
    default:
      return body(static_cast<uint64_t*>(nullptr));
  }
}

}  // namespace rvx::cuda
