// Operations on each element by itself.
#pragma once
#include <cmath>

#include "ops/operation.h"

namespace rvx {

// y = value everywhere.
struct Fill {
  static constexpr const char* name = "fill";
  Output y;
  std::vector<double> shape;
  std::string dtype = "f32";
  double value = 0;

  template <class V>
  void fields(V& v) {
    v(y, "y"), v(shape, "shape"), v(dtype, "dtype"), v(value, "value");
  }
  void infer() {
    y.is(shapeOf(shape), dtypeFromName(dtype));
    double least = 0, most = 0;
    switch (y.dtype) {
      case DType::f32:
      case DType::f64:
        return;
      case DType::u8:
        most = 255;
        break;
      case DType::i16:
        least = -32768, most = 32767;
        break;
      case DType::i32:
        least = -2147483648.0, most = 2147483647.0;
        break;
      case DType::f16:
      case DType::bf16:
        break;  // only zero: other values want a cast
    }
    require(value >= least && value <= most && value == std::floor(value), "InvalidArgument", [&] {
      return "Expected an integer from " + std::to_string(static_cast<int64_t>(least)) + " to " +
             std::to_string(static_cast<int64_t>(most)) +
             " for parameter value of a tensor of type " + dtype + " but received " +
             std::to_string(value);
    });
  }
};

// y = a + b, same shapes, of one type: f32, bf16 or f16.
struct Add {
  static constexpr const char* name = "add";
  Input a, b;
  Output y;

  template <class V>
  void fields(V& v) {
    v(a, "a"), v(b, "b"), v(y, "y");
  }
  void infer() {
    requireFloat(a, "a");
    requireType(b, a.dtype(), "b");
    requireShape(b.shape(), a.shape(), "b");
    y.like(a);
  }
};

// y = x where x > 0, slope * x elsewhere. slope 0 is ReLU.
struct LeakyRelu {
  static constexpr const char* name = "leakyRelu";
  Input x;
  Output y;
  double slope = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(slope, "slope");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    y.like(x);
  }
};

// dx = dy where x > 0, slope * dy elsewhere.
struct LeakyReluGrad {
  static constexpr const char* name = "leakyReluGrad";
  Input x, dy;
  Output dx;
  double slope = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(dy, "dy"), v(dx, "dx"), v(slope, "slope");
  }
  void infer() {
    requireShape(dy.shape(), x.shape(), "dy");
    dx.like(x);
  }
};

using ElementwiseOperations = OperationList<Fill, Add, LeakyRelu, LeakyReluGrad>;

}  // namespace rvx
