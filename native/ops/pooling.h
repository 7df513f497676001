// Pooling and the linear layer.
#pragma once
#include "ops/convolution.h"
#include "ops/operation.h"

namespace rvx {

inline int64_t pooledSize(int64_t in, int64_t kernel, int64_t stride, int64_t padding) {
  return (in + 2 * padding - kernel) / stride + 1;
}

inline void requirePooling(const Shape& x, const Shape& y, int64_t kernel, int64_t stride,
                           int64_t padding) {
  require(kernel >= 1 && kernel <= 6 && stride >= 1 && padding >= 0 && 2 * padding <= kernel,
          "InvalidArgument", "Expected a kernel of 1 to 6 and a padding of at most half of it");
  for (int i = 1; i < 4; ++i)
    require(x[i] + 2 * padding >= kernel && y[i] == pooledSize(x[i], kernel, stride, padding),
            "ShapeMismatch",
            [&] { return "The pooled size of " + x.text() + " is not " + y.text(); });
}

// y[n,o,c] = maximum over taps k of X[n, o*stride - padding + k, c] inside x. `indices`, where
// wanted, tells the first such tap in D, H, W order, (kd * kernel + kh) * kernel + kw. A NaN is a
// maximum. With scale/shift [N, C], X = leaky(x * scale + shift) as in Conv3d, else X = x; y has the type of x.
struct MaxPool3d {
  static constexpr const char* name = "maxPool3d";
  Input x;
  OptionalInput scale, shift;
  Output y, indices;
  int64_t kernel = 2, stride = 2, padding = 0;
  double slope = 1;
  bool wantIndices = false;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(scale, "scale"), v(shift, "shift"), v(y, "y"), v(indices, "indices"),
        v(kernel, "kernel"), v(stride, "stride"), v(padding, "padding"), v(slope, "slope"),
        v(wantIndices, "wantIndices");
  }
  void infer() {
    requireFloat(x, "x");
    requireRank(x, 5, "x");
    const Shape& s = x.shape();
    Shape out = s;
    for (int i = 1; i < 4; ++i) out[i] = pooledSize(s[i], kernel, stride, padding);
    requirePooling(s, out, kernel, stride, padding);
    requireLoad(scale, shift, {s[0], s[4]});
    y.is(out, x.dtype());
    indices.is(out, DType::u8);
    indices.wanted = wantIndices;
  }
};

// dx[n,i,c] = sum over the windows o that hold i, in order, of dy[n,o,c] where indices[n,o,c] is i; of the type of dy.
// `size` is the spatial size of x.
struct MaxPool3dGrad {
  static constexpr const char* name = "maxPool3dGrad";
  Input dy, indices;
  Output dx;
  Int3 size{0, 0, 0};
  int64_t kernel = 2, stride = 2, padding = 0;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(indices, "indices"), v(dx, "dx"), v(size, "size"), v(kernel, "kernel"),
        v(stride, "stride"), v(padding, "padding");
  }
  void infer() {
    requireFloat(dy, "dy");
    requireRank(dy, 5, "dy");
    requireType(indices, DType::u8, "indices");
    requireShape(indices.shape(), dy.shape(), "indices");
    const Shape s{dy.shape()[0], size[0], size[1], size[2], dy.shape()[4]};
    requirePooling(s, dy.shape(), kernel, stride, padding);
    dx.is(s, dy.dtype());
  }
};

// y[n,c] = mean over space of x [N, ..., C].
struct GlobalAveragePool {
  static constexpr const char* name = "globalAveragePool";
  Input x;
  Output y;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    require(x.shape().rank >= 2 && x.shape().size() > 0, "ShapeMismatch",
            "Expected samples, space and channels for tensor x");
    y.is({x.shape()[0], x.shape()[-1]});
  }
};

// dx = dy / voxels everywhere. `shape` is the shape of x.
struct GlobalAveragePoolGrad {
  static constexpr const char* name = "globalAveragePoolGrad";
  Input dy;
  Output dx;
  std::vector<double> shape;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(dx, "dx"), v(shape, "shape");
  }
  void infer() {
    Shape s;
    for (double d : shape) s.push(static_cast<int64_t>(d));
    require(s.rank >= 2, "ShapeMismatch", "Expected samples, space and channels for shape");
    requireShape(dy.shape(), {s[0], s[-1]}, "dy");
    dx.is(s);
  }
};

// y[n,k,c] = sum over space of m x / sum of m, m channel k of `masks` [N, ..., K], K up to 8; 0 where that sum is 0. Where m is 0, x does not
// count, NaN or not.
struct MaskedAveragePool {
  static constexpr const char* name = "maskedAveragePool";
  static constexpr int64_t most = 8;
  Input x, masks;
  Output y;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(masks, "masks"), v(y, "y");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    require(x.shape().rank >= 2 && x.shape().size() > 0, "ShapeMismatch",
            "Expected samples, space and channels for tensor x");
    requireMasks(masks, x.shape());
    y.is({x.shape()[0], masks.shape()[-1], x.shape()[-1]});
  }
  static void requireMasks(const Input& masks, Shape x) {
    requireType(masks, DType::f32, "masks");
    const Shape& m = masks.shape();
    require(m.rank >= 2 && m[-1] >= 1 && m[-1] <= most, "ShapeMismatch",
            [&] { return "Expected 1 to 8 channels for tensor masks but received " + m.text(); });
    x[-1] = m[-1];
    requireShape(m, x, "masks");
  }
};

// dx[n,v,c] = sum over k of dy[n,k,c] m / sum of m. The masks are constants: they have no gradient.
struct MaskedAveragePoolGrad {
  static constexpr const char* name = "maskedAveragePoolGrad";
  Input dy, masks;
  Output dx;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(masks, "masks"), v(dx, "dx");
  }
  void infer() {
    requireType(dy, DType::f32, "dy");
    requireRank(dy, 3, "dy");
    Shape s = masks.shape();
    MaskedAveragePool::requireMasks(masks, s);
    requireShape(dy.shape(), {s[0], s[-1], dy.shape()[2]}, "dy");
    s[-1] = dy.shape()[2];
    dx.is(s);
  }
};

// y [N, Out] = x [N, In] weight [Out, In]^T + bias [Out].
struct Linear {
  static constexpr const char* name = "linear";
  Input x, weight;
  OptionalInput bias;
  Output y;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(weight, "weight"), v(bias, "bias"), v(y, "y");
  }
  void infer() {
    requireRank(x, 2, "x");
    requireRank(weight, 2, "weight");
    requireShape({weight.shape()[1]}, {x.shape()[1]}, "weight (inputs)");
    if (bias) requireShape(bias.shape(), {weight.shape()[0]}, "bias");
    y.is({x.shape()[0], weight.shape()[0]});
  }
};

// dx = dy weight, dweight = dy^T x, dbias = sum of dy over samples.
struct LinearGrad {
  static constexpr const char* name = "linearGrad";
  Input x, weight, dy;
  Output dx, dweight, dbias;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(weight, "weight"), v(dy, "dy"), v(dx, "dx"), v(dweight, "dweight"),
        v(dbias, "dbias");
  }
  void infer() {
    requireShape(dy.shape(), {x.shape()[0], weight.shape()[0]}, "dy");
    dx.like(x);
    dweight.like(weight);
    dbias.is({weight.shape()[0]});
  }
};

// weights[n,c] = sum over space of alpha relu(g), alpha = g^2 / (2 g^2 + S g^3), 0 where that has no value; g the gradients, S the sum
// over space of the activations of that sample and channel (Grad-CAM++). Both are [N, ..., C].
struct GradCamPlusPlus {
  static constexpr const char* name = "gradCamPlusPlus";
  Input activations, gradients;
  Output weights;

  template <class V>
  void fields(V& v) {
    v(activations, "activations"), v(gradients, "gradients"), v(weights, "weights");
  }
  void infer() {
    requireType(activations, DType::f32, "activations");
    requireType(gradients, DType::f32, "gradients");
    const Shape& s = activations.shape();
    require(s.rank >= 2 && s.size() > 0, "ShapeMismatch",
            "Expected samples, space and channels for tensor activations");
    requireShape(gradients.shape(), s, "gradients");
    weights.is({s[0], s[-1]});
  }
};

using PoolingOperations =
    OperationList<MaxPool3d, MaxPool3dGrad, GlobalAveragePool, GlobalAveragePoolGrad,
                  MaskedAveragePool, MaskedAveragePoolGrad, Linear, LinearGrad, GradCamPlusPlus>;

}  // namespace rvx
