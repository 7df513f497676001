// A gradient dy that is formed of three tensors where it is loaded (ops/convolution.h, requireFormed): on the CPU it is a tensor, made
// by the passes of norm.cpp for the length of the operation.
#pragma once
#include <optional>

#include "cpu/norm.h"
#include "cpu/rounded.h"

namespace rvx::cpu {

class Formed {
 public:
  // Reads `op.dy`, or forms it where there is an `op.dyRaw`.
  template <class Op>
  Formed(const Op& op, Context& cx) : dy_(op.dy) {
    if (!op.dyRaw || op.dy.shape().size() == 0) return;
    // As a stored gradient would be: rounded to its type.
    made_.like(op.dy);
    made_.tensor = cx.device.makeTensor(made_.shape, made_.dtype);
    made_.tensor.buffer->materialize();
    const Rounded raw(op.dyRaw, DType::f32, cx), dy(op.dy, DType::f32, cx);
    RoundedResult dx(made_, cx);
    formGradient(raw.data(), dy.data(), perSample(op.dy.shape()), op.dyCoefficients.data(),
                 static_cast<float>(op.dySlope), dx.data());
    dx.finish();
    dy_.tensor = made_.tensor;
  }
  const Input& dy() const { return dy_; }

 private:
  Output made_;
  Input dy_;
};

}  // namespace rvx::cpu
