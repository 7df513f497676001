// One axis of a convolution as a gather: position j of the result reads the input at j * step + offset + t * tapStep for its
// taps t, and is written at start + j * spread. A convolution has step = stride and spread 1; its gradient with respect to the
// input falls into `stride` classes of positions with the same taps, each of step 1 and spread = stride.
//
// Positions of a tile and the taps of a group together touch a lattice of inputs, `spacing` apart: only these are staged in
// shared memory, so a 1x1x1 kernel of stride 2 stages an eighth of the input.
#pragma once
#include <cstdint>
#include <numeric>

#include "core/error.h"
#include "cuda/kernel.h"

namespace rvx::cuda {

// Division of 0 .. 2^31 - 1 by a number known at launch, below 2^31, by multiplication: exact. With 2^s the least power of two that is not
// less than the divisor, magic = ceil(2^(31 + s) / divisor) has 32 bits, and its error, less than 2^s, times n stays below 2^(31 + s).
struct Divider {
  uint32_t divisor = 1, magic = 0;
  int shift = 0;  // s - 1: what is left after the product's high word
  Divider() = default;
  explicit Divider(int64_t d) : divisor(static_cast<uint32_t>(d)) {
    if (d <= 1) return;
    while (int64_t{2} << shift < d) shift++;
    magic = static_cast<uint32_t>(((uint64_t{1} << (32 + shift)) + uint64_t(d) - 1) / uint64_t(d));
  }
};
RVX_DEVICE int divide(int n, const Divider& d) {
  if (d.divisor == 1) return n;
  const uint64_t product = static_cast<uint64_t>(static_cast<uint32_t>(n)) * d.magic;
  return static_cast<int>(static_cast<uint32_t>(product >> 32) >> d.shift);
}

struct GatherAxis {
  int inputs = 1;             // size of the input
  int outputs = 1, step = 1;  // positions j; input positions per j
  int start = 0, spread = 1;  // where j is written
  int taps = 1, offset = 0;   // tap t reads offset + t * tapStep further on
  int tapStep = 1;            // at least 1
  int kernel = 0,
      kernelStep = 1;  // index of tap t along the weight's axis: kernel + t * kernelStep

  // Lattice of a tile of `tile` positions and of `group` taps; set by lay().
  int tile = 1, group = 1;
  int spacing = 1, lstep = 1, ltap = 0, count = 1;

  void lay(int positions, int taps) {
    tile = positions, group = taps;
    spacing = group > 1 ? std::gcd(step, tapStep) : step;
    lstep = step / spacing;
    ltap = group > 1 ? tapStep / spacing : 0;
    count = (tile - 1) * lstep + (group > 0 ? group - 1 : 0) * ltap + 1;
  }
  RVX_PORTABLE int tiles() const { return (outputs + tile - 1) / tile; }
};

inline int checkedInt(int64_t n) {
  require(n >= INT32_MIN && n <= INT32_MAX, "ShapeMismatch",
          "A convolution's axis of " + std::to_string(n) + " is too large for the GPU");
  return static_cast<int>(n);
}

inline GatherAxis convolutionAxis(int64_t inputs, int64_t outputs, int64_t kernel, int64_t stride,
                                  int64_t padding, int64_t dilation) {
  GatherAxis a;
  a.inputs = checkedInt(inputs), a.outputs = checkedInt(outputs), a.step = checkedInt(stride);
  a.taps = checkedInt(kernel), a.offset = checkedInt(-padding), a.tapStep = checkedInt(dilation);
  checkedInt(outputs * stride + kernel * dilation);
  return a;
}

// Class `rest` (0 .. stride - 1) of the gradient of such an axis with `size` positions, made of `inputs` positions of dy:
// x[i] reached y[o] where i = o * stride - padding + k * dilation. The k that fit lie an equal distance apart.
inline GatherAxis gradientAxis(int64_t inputs, int64_t size, int64_t kernel, int64_t stride,
                               int64_t padding, int64_t dilation, int64_t rest) {
  GatherAxis a;
  a.inputs = checkedInt(inputs);
  a.outputs = rest < size ? checkedInt((size - rest + stride - 1) / stride) : 0;
  a.start = checkedInt(rest), a.spread = checkedInt(stride);
  const int64_t apart = stride / std::gcd(stride, dilation);
  a.tapStep = checkedInt(apart * dilation / stride);
  a.kernelStep = checkedInt(-apart);
  a.taps = 0;
  checkedInt(size + padding + kernel * dilation);
  for (int64_t k = kernel - 1; k >= 0; --k) {
    const int64_t reach = rest + padding - k * dilation;
    if (reach % stride != 0) continue;
    if (a.taps++ == 0) a.offset = checkedInt(reach / stride), a.kernel = checkedInt(k);
  }
  return a;
}

}  // namespace rvx::cuda
