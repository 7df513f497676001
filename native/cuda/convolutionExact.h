// Convolutions by FFMA, exact to f32, for every geometry: conv3d, its gradient with respect to the input, and through the form
// below the transposed convolution and its gradients. Where op.type asks for bf16 or fp16 the operands are rounded to it, so this
// also serves shapes that tensor cores have no kernel for.
#pragma once
#include <vector>

#include "cuda/gatherAxis.h"
#include "cuda/launch.h"
#include "cuda/sources.h"
#include "ops/ops.h"

namespace rvx::cuda {

// y[n, start + j*spread (+ part), co] = bias[co] + sum over taps, ci of weight(co, ci, tap) * X[n, input of (j, tap), ci], per
// class of positions (gatherAxis.h). With eight parts, those of a transposed convolution, part k = (kd, kh, kw) is written k
// further on and has the weights at the k-th place of the last axes.
struct ExactGather {
  int64_t samples = 1;
  Sources in;
  std::vector<std::array<GatherAxis, 3>> classes;
  const float* weight = nullptr;
  int64_t weightCo = 0, weightCi = 0;  // strides of the weight's channels; its taps are contiguous
  Int3 kernel{1, 1, 1};
  const float* bias = nullptr;
  void* y = nullptr;
  DType type = DType::f32;
  Int3 outSize{};
  int64_t cout = 0;
  int parts = 1;
  float* sums = nullptr;  // [N, cout, 2] mean and M2; with one class and one part
};
void runExactGather(Context& cx, const char* name, ExactGather g);

void convolveExact(const Conv3d& op, Context& cx);
void convolveExactGradInput(const Conv3dGradInput& op, Context& cx);

}  // namespace rvx::cuda
