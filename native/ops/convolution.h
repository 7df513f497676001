// Convolutions. Tensors are NDHWC; weights are PyTorch's [Cout, Cin, kD, kH, kW] (transposed
// convolution: [Cin, Cout, 2, 2, 2]).
#pragma once
#include "ops/operation.h"

namespace rvx {

inline int64_t convolvedSize(int64_t in, int64_t kernel, int64_t stride, int64_t padding,
                             int64_t dilation) {
  return (in + 2 * padding - dilation * (kernel - 1) - 1) / stride + 1;
}

// The type of a convolution's products. Operands (after norm and activation on load) and weights are rounded to `precision`, fp32,
// bf16 or fp16; products are added in f32. The result is stored as `out`: f32, bf16 or f16; empty: the type of the precision.
struct Precision {
  std::string precision = "fp32", out;

  template <class V>
  void fields(V& v) {
    v(precision, "precision"), v(out, "out");
  }
  DType operand() const {
    require(
        precision == "fp32" || precision == "bf16" || precision == "fp16", "InvalidArgument", [&] {
          return "Expected fp32, bf16 or fp16 for parameter precision but received " + precision;
        });
    return precision == "fp32" ? DType::f32 : precision == "bf16" ? DType::bf16 : DType::f16;
  }
  DType result() const {
    const DType type = out.empty() ? operand() : dtypeFromName(out);
    require(type == DType::f32 || type == DType::bf16 || type == DType::f16, "InvalidArgument",
            [&] { return "Expected f32, bf16 or f16 for parameter out but received " + out; });
    return type;
  }
};

// How products of a convolution are formed. Winograd's form (CPU, products of fp32, 3^3, stride 1) does so with fewer
// multiplications and a larger rounding error; `automatic` takes it, or a form for first layers, where that is faster.
enum class Algorithm { automatic, direct, winograd };

inline Algorithm algorithmFromName(const std::string& name) {
  require(name == "auto" || name == "direct" || name == "winograd", "InvalidArgument", [&] {
    return "Expected auto, direct or winograd for parameter algorithm but received " + name;
  });
  return name == "auto"     ? Algorithm::automatic
         : name == "direct" ? Algorithm::direct
                            : Algorithm::winograd;
}

// Checks the name, and that Winograd's form is not asked of what does not have it.
inline void requireAlgorithm(const std::string& name, const Input& x, const Shape& w,
                             const Int3& stride, DType operand) {
  if (algorithmFromName(name) != Algorithm::winograd) return;
  require(x.tensor.buffer->device->kind == DeviceKind::cpu && operand == DType::f32 && w[2] == 3 &&
              w[3] == 3 && w[4] == 3 && stride == Int3{1, 1, 1},
          "InvalidArgument", [&] {
            return "Expected 3x3x3 weights, stride 1 and precision fp32 on the CPU for algorithm "
                   "winograd but "
                   "received weight " +
                   w.text();
          });
}

// A norm on load: both of its tensors, or neither.
inline void requireLoad(const OptionalInput& scale, const OptionalInput& shift,
                        const Shape& shape) {
  if (!scale && !shift) return;
  requireShape(scale.tensor.shape, shape, "scale");
  requireShape(shift.tensor.shape, shape, "shift");
}

// y[n,o,co] = bias[co] + sum over taps k and channels ci of weight[co,ci,k] * X[n, o*stride -
// padding + k*dilation, ci], X = 0 outside. X is x, or x followed by `second` along the channels (a
// concatenation never stored). Where `scale`/`shift` [N, Cin of x] are given, X = leaky(x * scale +
// shift) with slope `slope` for negative values (norm and activation applied while loading; padding
// stays zero), likewise secondScale/secondShift for `second`. With statistics = true, `sums` [N,
// Cout, 2] receives mean and M2 (sum of squared deviations) of y over space, before y is rounded to its type.
// With poolSign [Cout], `pooled` [N, D'/2, H'/2, W'/2, Cout], sizes rounded down, receives of each window of 2x2x2 of y its largest value, or
// its smallest where poolSign < 0 (math/maximum.h): what a norm with a scale of that sign and a rising activation make the greatest of.
//
// With `upWeight` [Cin of x, Cup, 2, 2, 2] (and upBias [Cup]) the first source is not x but ConvTranspose3d of x, with the norm and
// activation of x on load: Cup channels of twice x's size, rounded to the precision, zero outside like any source. `second` has that
// size too. x is then stored as f32 or in the type of the precision. Whether a backend stores that source is its own business; the
// bits of y are those of the two operations.
struct Conv3d {
  static constexpr const char* name = "conv3d";
  Input x, weight;
  OptionalInput bias, second, scale, shift, secondScale, secondShift, upWeight, upBias, poolSign;
  Output y, sums, pooled;
  Int3 stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  double slope = 1;
  bool statistics = false;
  std::string algorithm = "auto";
  Precision type;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(weight, "weight"), v(bias, "bias"), v(second, "second"), v(scale, "scale"),
        v(shift, "shift"), v(secondScale, "secondScale"), v(secondShift, "secondShift"),
        v(upWeight, "upWeight"), v(upBias, "upBias"), v(poolSign, "poolSign"), v(y, "y"),
        v(sums, "sums"), v(pooled, "pooled"), v(stride, "stride"), v(padding, "padding"),
        v(dilation, "dilation"), v(slope, "slope"), v(statistics, "statistics"),
        v(algorithm, "algorithm");
    type.fields(v);
  }
  void infer() {
    requireFloat(x, "x");
    requireType(weight, DType::f32, "weight");
    if (second) requireType(second, x.dtype(), "second");
    requireRank(x, 5, "x");
    requireRank(weight, 5, "weight");
    requireLoad(scale, shift, {x.shape()[0], x.shape()[4]});
    const Shape s = sourceShape();
    const Shape& w = weight.shape();
    const int64_t cin = s[4] + (second ? second.shape()[4] : 0);
    require(w[1] == cin, "ShapeMismatch", [&] {
      return "Expected " + std::to_string(cin) + " input channels in weight " + w.text();
    });
    if (second) requireShape(second.shape(), {s[0], s[1], s[2], s[3], second.shape()[4]}, "second");
    if (bias) requireShape(bias.shape(), {w[0]}, "bias");
    requireLoad(secondScale, secondShift, {s[0], cin - s[4]});
    Shape out{s[0]};
    for (int i = 0; i < 3; ++i) {
      out.push(convolvedSize(s[i + 1], w[i + 2], stride[size_t(i)], padding[size_t(i)],
                             dilation[size_t(i)]));
      require(out[i + 1] > 0, "ShapeMismatch",
              [&] { return "The kernel " + w.text() + " does not fit into " + s.text(); });
    }
    out.push(w[0]);
    requireAlgorithm(algorithm, x, weight.shape(), stride, type.operand());
    y.is(out, type.result());
    sums.is({s[0], w[0], 2});
    sums.wanted = statistics;
    pooled.wanted = static_cast<bool>(poolSign);
    if (!poolSign) return;
    requireType(poolSign, DType::f32, "poolSign");
    requireShape(poolSign.shape(), {w[0]}, "poolSign");
    require(out[1] > 1 && out[2] > 1 && out[3] > 1, "ShapeMismatch", [&] {
      return "Expected a result of two voxels or more along each axis to pool but received " +
             out.text();
    });
    pooled.is({s[0], out[1] / 2, out[2] / 2, out[3] / 2, w[0]}, type.result());
  }
  // Of the first source: x, or what is made of it.
  Shape sourceShape() const {
    const Shape& s = x.shape();
    if (!upWeight) {
      require(!upBias, "InvalidArgument", "Expected upWeight together with upBias");
      return s;
    }
    requireType(upWeight, DType::f32, "upWeight");
    requireRank(upWeight, 5, "upWeight");
    require(x.dtype() == DType::f32 || x.dtype() == type.operand(), "DtypeMismatch", [&] {
      return std::string(
                 "Expected f32 or the type of the precision for tensor x together with "
                 "upWeight but received ") +
             nameOf(x.dtype());
    });
    const int64_t cup = upWeight.shape()[1];
    requireShape(upWeight.shape(), {s[4], cup, 2, 2, 2}, "upWeight");
    if (upBias) requireShape(upBias.shape(), {cup}, "upBias");
    return {s[0], 2 * s[1], 2 * s[2], 2 * s[3], cup};
  }
};

// A gradient dy that is formed where it is loaded: of dy, then the gradient of the activation leaky(norm(dyRaw)), the raw output dyRaw and
// InstanceNormGrad's `coefficients`, all three or dy alone. What is formed is rounded to dy's type first: the bits are those of a stored dx.
inline void requireFormed(const Input& dy, const OptionalInput& raw,
                          const OptionalInput& coefficients) {
  if (!raw && !coefficients) return;
  const Shape& s = dy.shape();
  requireShape(raw.tensor.shape, s, "dyRaw");
  requireType(raw, dy.dtype(), "dyRaw");
  requireShape(coefficients.tensor.shape, {5, s[0], s[-1]}, "dyCoefficients");
  requireType(coefficients, DType::f32, "dyCoefficients");
}

// Gradient with respect to x: dx[n,i,ci] = sum over co, k with i = o*stride - padding + k*dilation
// of weight[co,ci,k] * dy[n,o,co]. `size` is the spatial size of x. Only the input channels from
// `first` are made, `channels` of them (0: all that follow): one source of a concatenation. dy may be formed on load (dyRaw, dyCoefficients and
// dySlope, that of the activation; requireFormed).
//
// Where dx is the whole gradient of an activation leaky(norm(below)), `below` its raw output, of dx's shape and type, with the norm's gamma, beta
// and statistics, `sums` [N, made, 2] receives those of g = dx leaky'(norm(below)) and of g xhat over space, dx as it is stored: what
// InstanceNormGrad takes instead of reading both tensors for them.
struct Conv3dGradInput {
  static constexpr const char* name = "conv3dGradInput";
  Input dy, weight;
  OptionalInput dyRaw, dyCoefficients, below, belowGamma, belowBeta, belowStatistics;
  Output dx, sums;
  Int3 size{0, 0, 0}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  int64_t first = 0, channels = 0;
  double dySlope = 1, belowSlope = 1;
  std::string algorithm = "auto";
  Precision type;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(weight, "weight"), v(dyRaw, "dyRaw"), v(dyCoefficients, "dyCoefficients"),
        v(below, "below"), v(belowGamma, "belowGamma"), v(belowBeta, "belowBeta"),
        v(belowStatistics, "belowStatistics"), v(dx, "dx"), v(sums, "sums"), v(size, "size"),
        v(stride, "stride"), v(padding, "padding"), v(dilation, "dilation"), v(first, "first"),
        v(channels, "channels"), v(dySlope, "dySlope"), v(belowSlope, "belowSlope"),
        v(algorithm, "algorithm");
    type.fields(v);
  }
  void infer() {
    requireFloat(dy, "dy");
    requireType(weight, DType::f32, "weight");
    requireRank(dy, 5, "dy");
    requireRank(weight, 5, "weight");
    requireShape({dy.shape()[4]}, {weight.shape()[0]}, "dy (channels)");
    for (int i = 0; i < 3; ++i) {
      const auto a = size_t(i);
      require(dy.shape()[i + 1] ==
                  convolvedSize(size[a], weight.shape()[i + 2], stride[a], padding[a], dilation[a]),
              "ShapeMismatch",
              [&] { return "The gradient " + dy.shape().text() + " does not fit the size of x"; });
    }
    const int64_t made = channels > 0 ? channels : weight.shape()[1] - first;
    require(first >= 0 && made > 0 && first + made <= weight.shape()[1], "ShapeMismatch", [&] {
      return "The channels asked for do not lie in the weight " + weight.shape().text();
    });
    requireAlgorithm(algorithm, dy, weight.shape(), stride, type.operand());
    requireFormed(dy, dyRaw, dyCoefficients);
    const int64_t samples = dy.shape()[0];
    dx.is({samples, size[0], size[1], size[2], made}, type.result());
    sums.is({samples, made, 2});
    sums.wanted = static_cast<bool>(below);
    if (!below) return;
    requireShape(below.shape(), dx.shape, "below");
    requireType(below, dx.dtype, "below");
    requireShape(belowGamma.tensor.shape, {made}, "belowGamma");
    requireShape(belowBeta.tensor.shape, {made}, "belowBeta");
    requireShape(belowStatistics.tensor.shape, {samples, made, 3}, "belowStatistics");
    for (const OptionalInput* v : {&belowGamma, &belowBeta, &belowStatistics})
      requireType(*v, DType::f32, "belowGamma, belowBeta or belowStatistics");
  }
};

// Gradient with respect to the weight and bias: dw[co,ci,k] = sum over n, o of dy[n,o,co] * X[n,
// o*stride - padding + k*dilation, ci]; db[co] = sum over n, o of dy[n,o,co], not rounded to the precision. X is x, or x followed by
// `second` along the channels, with the norms and activation of Conv3d on load. dy may be formed on load as Conv3dGradInput's; there is no db
// then, for its true value is 0: a norm takes away what a bias adds.
struct Conv3dGradWeight {
  static constexpr const char* name = "conv3dGradWeight";
  Input x, dy;
  OptionalInput second, scale, shift, secondScale, secondShift, dyRaw, dyCoefficients;
  Output dw, db;
  Int3 kernel{1, 1, 1}, stride{1, 1, 1}, padding{0, 0, 0}, dilation{1, 1, 1};
  double slope = 1, dySlope = 1;
  std::string algorithm = "auto";
  Precision type;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(dy, "dy"), v(second, "second"), v(scale, "scale"), v(shift, "shift"),
        v(secondScale, "secondScale"), v(secondShift, "secondShift"), v(dyRaw, "dyRaw"),
        v(dyCoefficients, "dyCoefficients"), v(dw, "dw"), v(db, "db"), v(kernel, "kernel"),
        v(stride, "stride"), v(padding, "padding"), v(dilation, "dilation"), v(slope, "slope"),
        v(dySlope, "dySlope"), v(algorithm, "algorithm");
    type.fields(v);
  }
  void infer() {
    requireFloat(x, "x");
    requireFloat(dy, "dy");
    if (second) requireType(second, x.dtype(), "second");
    requireRank(x, 5, "x");
    requireRank(dy, 5, "dy");
    for (int i = 0; i < 3; ++i) {
      const auto a = size_t(i);
      require(dy.shape()[i + 1] ==
                  convolvedSize(x.shape()[i + 1], kernel[a], stride[a], padding[a], dilation[a]),
              "ShapeMismatch", [&] {
                return "The gradient " + dy.shape().text() + " does not fit x " + x.shape().text();
              });
    }
    requireShape({dy.shape()[0]}, {x.shape()[0]}, "dy (samples)");
    const Shape& s = x.shape();
    if (second) requireShape(second.shape(), {s[0], s[1], s[2], s[3], second.shape()[4]}, "second");
    const int64_t cin = s[4] + (second ? second.shape()[4] : 0);
    requireLoad(scale, shift, {s[0], s[4]});
    requireLoad(secondScale, secondShift, {s[0], cin - s[4]});
    const Shape w{dy.shape()[4], cin, kernel[0], kernel[1], kernel[2]};
    requireAlgorithm(algorithm, x, w, stride, type.operand());
    requireFormed(dy, dyRaw, dyCoefficients);
    dw.is(w);
    db.is({dy.shape()[4]});
    db.wanted = !dyRaw;
  }
};

// Transposed convolution with kernel 2 and stride 2: y[n, 2i+k, co] = bias[co] + sum over ci of
// weight[ci,co,k] * x[n,i,ci], k in {0,1}^3. x may be normalised while loading as in Conv3d.
struct ConvTranspose3d {
  static constexpr const char* name = "convTranspose3d";
  Input x, weight;
  OptionalInput bias, scale, shift;
  Output y;
  double slope = 1;
  Precision type;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(weight, "weight"), v(bias, "bias"), v(scale, "scale"), v(shift, "shift"),
        v(y, "y"), v(slope, "slope");
    type.fields(v);
  }
  void infer() {
    requireFloat(x, "x");
    requireType(weight, DType::f32, "weight");
    requireRank(x, 5, "x");
    const Shape &s = x.shape(), &w = weight.shape();
    requireShape(w, {s[4], w.rank == 5 ? w[1] : 0, 2, 2, 2}, "weight");
    if (bias) requireShape(bias.shape(), {w[1]}, "bias");
    requireLoad(scale, shift, {s[0], s[4]});
    y.is({s[0], 2 * s[1], 2 * s[2], 2 * s[3], w[1]}, type.result());
  }
};

// A conv3d with `upWeight` as two operations, where a backend does not make that source in its tiles; `run` runs each of them.
template <class Run>
void runUpApart(const Conv3d& op, Context& cx, Run run) {
  ConvTranspose3d up;
  up.x = op.x, up.weight = op.upWeight, up.bias = op.upBias;
  up.scale = op.scale, up.shift = op.shift, up.slope = op.slope;
  up.type = op.type;
  // As `second` is stored; f32 is rounded to the precision when it is loaded.
  up.type.out = nameOf(op.x.dtype());
  up.infer();
  up.y.tensor = cx.device.makeTensor(up.y.shape, up.y.dtype);
  up.y.tensor.buffer->materialize();
  run(up, cx);
  Conv3d plain = op;
  plain.x.tensor = up.y.tensor;
  plain.scale = plain.shift = plain.upWeight = plain.upBias = OptionalInput();
  run(plain, cx);
}

// dx[n,i,ci] = sum over co, k of weight[ci,co,k] * dy[n, 2i+k, co].
struct ConvTranspose3dGradInput {
  static constexpr const char* name = "convTranspose3dGradInput";
  Input dy, weight;
  Output dx;
  Precision type;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(weight, "weight"), v(dx, "dx");
    type.fields(v);
  }
  void infer() {
    requireFloat(dy, "dy");
    requireType(weight, DType::f32, "weight");
    requireRank(dy, 5, "dy");
    const Shape &s = dy.shape(), &w = weight.shape();
    requireShape(w, {w[0], s[4], 2, 2, 2}, "weight");
    dx.is({s[0], s[1] / 2, s[2] / 2, s[3] / 2, w[0]}, type.result());
  }
};

// dw[ci,co,k] = sum over n, i of X[n,i,ci] * dy[n, 2i+k, co]; db[co] = sum of dy. X is x, with ConvTranspose3d's norm and activation on
// load.
struct ConvTranspose3dGradWeight {
  static constexpr const char* name = "convTranspose3dGradWeight";
  Input x, dy;
  OptionalInput scale, shift;
  Output dw, db;
  double slope = 1;
  Precision type;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(dy, "dy"), v(scale, "scale"), v(shift, "shift"), v(dw, "dw"), v(db, "db"),
        v(slope, "slope");
    type.fields(v);
  }
  void infer() {
    requireFloat(x, "x");
    requireFloat(dy, "dy");
    requireRank(x, 5, "x");
    const Shape &s = x.shape(), &g = dy.shape();
    requireShape(g, {s[0], 2 * s[1], 2 * s[2], 2 * s[3], g.rank == 5 ? g[4] : 0}, "dy");
    requireLoad(scale, shift, {s[0], s[4]});
    dw.is({s[4], g[4], 2, 2, 2});
    db.is({g[4]});
  }
};

using ConvolutionOperations =
    OperationList<Conv3d, Conv3dGradInput, Conv3dGradWeight, ConvTranspose3d,
                  ConvTranspose3dGradInput, ConvTranspose3dGradWeight>;

}  // namespace rvx
