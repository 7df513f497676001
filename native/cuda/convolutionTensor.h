// A convolution for tensor cores: the form that conv3d and its gradient with respect to x are brought into, as the CPU's Gather.
//
//   Y[n, o, co] = bias[co] + sum over taps t, channels ci of W(co, ci, t) * X[n, i, ci],   X = 0 outside
//
// with, per axis, class r in 0..classes-1 and position j of that class
//
//   o = start + r + spread * j
//   i = base(r) + apart * (j * step + offset(r) + t * tapStep),   r + shift = apart * offset(r) + base(r), 0 <= base < apart
//
// A convolution with stride 1 and dilation d is d classes per axis of voxels that lie d apart, each dense, or as many as Y has positions
// where those are fewer; with a stride it is one class. A gradient with stride 1 is a convolution with flipped taps; with a stride,
// `stride` launches per axis, one class each.
#pragma once
#include <array>

#include "ops/convolution.h"

namespace rvx::cuda {

struct TensorAxis {
  int in = 1, out = 1;
  int step = 1, tapStep = 1, taps = 1;
  int classes = 1, apart = 1, shift = 0;
  int start = 0, spread = 1;
  int kernel = 0,
      kernelStep = 1;  // tap t is index kernel + t * kernelStep along this axis of the weight
};

enum class Stored : int { f32, bf16, f16 };
Stored storedAs(DType type);

struct TensorSource {
  const void* data = nullptr;
  int channels = 0;
  const float *scale = nullptr, *shift = nullptr;  // [N, channels], or none
};

// What the first source is made of in the tiles, by a transposed convolution with kernel and stride 2: a tensor of half its size.
struct TensorUp {
  TensorSource source;
  const Input* weight = nullptr;  // [Cin, Cout, 2, 2, 2]; none: the first source is there
  const float* bias = nullptr;
};

// What forms the values of the first source where they are loaded, from it as dy and `raw` as x: InstanceNormGrad's coefficients.
struct TensorFormed {
  const void* raw = nullptr;  // stored as the source; none: the source is what it is
  const float* coefficients = nullptr;
  float slope = 1;
};

// Of Y as the gradient of leaky(norm(y)): the sums that the norm's gradient needs (Conv3dGradInput's `below`).
struct TensorBelow {
  const Input *y = nullptr, *gamma = nullptr, *beta = nullptr, *statistics = nullptr;
  float slope = 1;
  float* sums = nullptr;  // none: not wanted
};

struct TensorConvolution {
  const char* name = "";  // of the launches
  int samples = 1;
  std::array<TensorSource, 2> source;
  TensorUp up;  // the first source has its channels, and no data
  DType sourceType = DType::f32, operand = DType::bf16;
  float slope = 1;
  std::array<TensorAxis, 3> axis;
  // The weight as [rows, columns, kernel axes] with co and ci along one of them each: transposed, co counts columns from `first`.
  const Input* weight = nullptr;
  bool transposed = false;
  int first = 0;
  const float* bias = nullptr;
  const Output* y = nullptr;
  int cout = 0;
  float* sums =
      nullptr;  // [N, cout, 2]: mean and M2 of Y, or nullptr; with one launch for all outputs alone
  TensorFormed formed;
  TensorBelow below;                // with one launch for all outputs alone
  const float* poolSign = nullptr;  // [cout], and pooled as Conv3d's; or nullptr
  const Output* pooled = nullptr;
};

// An axis' size as kernels hold it.
int tensorSize(int64_t n);
// Refuses an axis of x that with its padding has no place in 32 bits.
void requirePadded(int64_t in, int64_t padding);
// The axes of a convolution, and of class `rest` of its gradient with respect to x: `in` is then the size of dy, `out` that of x.
TensorAxis convolutionAxis(int in, int out, int taps, int stride, int padding, int dilation);
TensorAxis gradientAxis(int in, int out, int taps, int stride, int padding, int dilation, int rest);

// FLOPs 2 * N * outputs * taps * Cin * Cout. Chooses the kernel by shape (convolutionTensorPlan.h). Returns whether the tile was one that
// pools on store (convolutionTensorPool.h), so that `pooled` is made.
bool convolveTensor(const TensorConvolution& c, Context& cx);
// Whether there is a tile for it; where not (a kernel of so many taps that their table fills shared memory), convolutionExact.h has one.
bool hasTile(const TensorConvolution& c, Context& cx);
// Whether convolveTensor makes `c.up`; where not, it is an operation of its own.
bool makesUp(const TensorConvolution& c, Context& cx);
// Whether it can form a source as `c.formed` says; where not, that is an operation of its own.
bool formsOnLoad(const TensorConvolution& c, Context& cx);
// Whether it can make `c.below`'s sums; where not, that is a pass of its own.
bool sumsOnStore(const TensorConvolution& c, Context& cx);

}  // namespace rvx::cuda
