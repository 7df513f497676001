// A gradient dy that is formed of three tensors (ops/convolution.h, requireFormed), as a tensor for the length of an operation that cannot
// form it while it loads it.
#pragma once
#include "cuda/norm.h"
#include "ops/ops.h"

namespace rvx::cuda {

// Runs `op` on a dy that is formed before by a pass called `name`.
template <class Op>
void runOnFormed(const Op& op, const char* name, Context& cx) {
  Op rest = op;
  rest.dyRaw = rest.dyCoefficients = OptionalInput();
  if (op.dy.shape().size() > 0) {
    Input& dy = rest.dy;
    dy.tensor = cx.device.makeTensor(op.dy.shape(), op.dy.dtype());
    dy.tensor.buffer->materialize();
    formGradient(name, op.dyRaw, op.dy, op.dy.shape()[0], op.dyCoefficients.data(), op.dySlope,
                 static_cast<void*>(dy.tensor.data<char>()), cx);
  }
  run(rest, cx);
}

}  // namespace rvx::cuda
