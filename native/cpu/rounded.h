// Convolutions in less than f32, in the simplest way: operands become f32 copies that hold values of the 16-bit type, the f32 kernels
// multiply them (products of two such values are exact in f32), the result is rounded at the end.
#pragma once
#include <memory>

#include "math/activation.h"
#include "ops/convolution.h"

namespace rvx::cpu {

// A tensor [N, ..., C] as f32, each value normalised (where scale is given) and rounded to `operand`. The tensor's own memory where
// that changes nothing.
class Rounded {
 public:
  // With operand f32 the norm is left to the kernel, which applies it while loading; `always`: to a kernel that does not.
  Rounded(const Input& x, DType operand, Context& cx, const float* scale = nullptr,
          const float* shift = nullptr, float slope = 1, bool always = false);
  const float* data() const { return data_; }

 private:
  std::unique_ptr<Workspace> memory_;
  const float* data_ = nullptr;
};

// Where an f32 kernel writes what `y` shall hold; finish() rounds it there.
class RoundedResult {
 public:
  RoundedResult(const Output& y, Context& cx);
  float* data() const { return data_; }
  void finish();

 private:
  const Output& y_;
  std::unique_ptr<Workspace> memory_;
  float* data_ = nullptr;
};

}  // namespace rvx::cpu
