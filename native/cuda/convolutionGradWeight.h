// The gradient of convolutions with respect to their weights, for conv3d and convTranspose3d alike:
//
//   dw[a, b, k] = sum over n, o of coarse[n, o, a] * fine[n, o*stride - padding + k*dilation, b],   fine = 0 outside
//
// coarse is dy and fine is x, of a transposed convolution x and dy. Two fine tensors lie next to each other along b. Where an image has a
// scale it is normalised on load, leaky(v * scale + shift); outside it stays zero. Both are rounded to `operand` before they are multiplied.
// coarse may be formed on load of three tensors.
#pragma once
#include <array>

#include "cuda/launch.h"

namespace rvx::cuda {

struct WeightGradient {
  const char* name = "";  // of the launches
  struct Image {
    const void* data = nullptr;
    DType type = DType::f32;
    int64_t channels = 0;
    const float *scale = nullptr, *shift = nullptr;  // [N, channels]
  };
  // What forms coarse where it is loaded, from it as dy and `raw` as x: InstanceNormGrad's coefficients. Products of 16 bits alone.
  struct Forming {
    const void* raw = nullptr;  // stored as coarse; none: coarse is what it is
    const float* coefficients = nullptr;
    float slope = 1;
  };
  int64_t samples = 1;
  Int3 coarseSize{}, fineSize{};
  Image coarse;
  Forming formed;
  std::array<Image, 2> fine;
  DType operand = DType::f32;
  float slope = 1;  // of the activation after a norm
  Int3 kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  float* dw = nullptr;
};

// Whether coarse can be formed on load; where not, that is an operation of its own.
bool formsOnLoad(const WeightGradient& g, Context& cx);

void runWeightGradient(const WeightGradient& g, Context& cx);

// db[c] = sum over voxels of dy[v, c] as it is stored, in double.
void runBiasGradient(const char* name, const void* dy, DType type, int64_t voxels, int64_t channels,
                     float* db, Context& cx);

}  // namespace rvx::cuda
