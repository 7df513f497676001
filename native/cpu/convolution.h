// The one form that all convolutions of this library are brought into: a gather over taps.
//
//   y[n, start + j*spread, co] = bias[co] + sum over taps t, channels ci of
//                                weight(co, ci, t) * X[n, j*step + offset[t], ci]
//
// per axis, X = 0 outside. A convolution has step = stride, offset = k*dilation - padding, spread 1.
// Its gradient with respect to the input falls, per axis, into `stride` classes of positions with
// the same taps: step 1, spread = stride. A transposed convolution is such a gradient.
#pragma once
#include <array>
#include <vector>

#include "cpu/packed_planes.h"
#include "ops/convolution.h"

namespace rvx::cpu {

struct GatherAxis {
  int64_t outputs = 0;            // positions j
  int64_t step = 1;               // input positions per j
  int64_t start = 0, spread = 1;  // where j is written
  std::vector<int64_t> offset;    // of each tap
  std::vector<int64_t> kernel;    // index of each tap along this axis of the weight
};

struct Gather {
  int64_t samples = 1;
  Int3 inSize{}, outSize{};
  std::array<GatherSource, 2> sources;
  float slope = 1;
  std::array<GatherAxis, 3> axes;
  const float* weight = nullptr;
  int64_t weightCo = 0, weightCi = 0;  // strides of the weight's channels, in floats
  Int3 kernel{1, 1, 1};                // its spatial axes, contiguous
  // The buffer that is the weight, all of it, where packed and transformed forms may be kept beside it.
  Buffer* weightBuffer = nullptr;
  const float* bias = nullptr;
  float* y = nullptr;
  int64_t cout = 0;
  // Results that share the taps, each with weights and a place of its own (a transposed convolution
  // has eight): offsets in floats.
  struct Part {
    int64_t weight = 0, y = 0;
  };
  std::vector<Part> parts{Part{}};
  // [N, cout, 2]: mean and sum of squared deviations of y, exact to float where the mean is far
  // greater than the deviation; or nullptr. With one part and spread 1.
  float* sums = nullptr;

  int64_t cin() const { return sources[0].channels + sources[1].channels; }
  // Whether y is so large that no cache holds it until it is read, and made of whole lines of one.
  bool passesCaches() const;
  // What one thread takes by the direct form, about: to see whether it is worth a second one.
  double microseconds() const;
};

// How many times as fast Winograd's forms are, about.
constexpr double kWinogradGain = 3;

// Output rows that share a vector, so that few channels do not leave lanes empty: 1, 2 or 4.
int chooseInterleave(int lanes, int64_t channels, int64_t rows);

void runGather(const Gather& g, Context& cx);
// By the algorithm that was asked for, or that suits the shape (convolution_algorithm.cpp).
void runConvolution(const Gather& g, Algorithm algorithm, Context& cx);

// Axes of a convolution, and of class `rest` (0..stride-1) of its gradient.
GatherAxis convolutionAxis(int64_t outputs, int64_t kernel, int64_t stride, int64_t padding,
                           int64_t dilation);
GatherAxis gradientAxis(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation, int64_t rest);

}  // namespace rvx::cpu
