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
    Shape s;
    for (double d : shape) s.push(static_cast<int64_t>(d));
    y.is(s, dtypeFromName(dtype));
  }
};

// y = a + b, same shapes.
struct Add {
  static constexpr const char* name = "add";
  Input a, b;
  Output y;

  template <class V>
  void fields(V& v) {
    v(a, "a"), v(b, "b"), v(y, "y");
  }
  void infer() {
    requireType(a, DType::f32, "a");
    requireType(b, DType::f32, "b");
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
