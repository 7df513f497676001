// A gradient dy that is formed of three tensors (ops/convolution.h, requireFormed), as a tensor for the length of an operation, where
// that cannot form it while it loads it.
#pragma once
#include "cuda/norm.h"
#include "ops/convolution.h"

namespace rvx::cuda {

class Formed {
 public:
  // Is `op.dy` where there is no `op.dyRaw`.
  template <class Op>
  Formed(const Op& op, const char* name, Context& cx) : dy_(op.dy) {
    if (!op.dyRaw || op.dy.shape().size() == 0) return;
    dy_.tensor = cx.device.makeTensor(op.dy.shape(), op.dy.dtype());
    dy_.tensor.buffer->materialize();
    formGradient(name, op.dyRaw, op.dy, op.dy.shape()[0], op.dyCoefficients.data(), op.dySlope,
                 static_cast<void*>(dy_.tensor.data<char>()), cx);
  }
  const Input& dy() const { return dy_; }

 private:
  Input dy_;
};

}  // namespace rvx::cuda
