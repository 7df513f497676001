// Arithmetic between tensors, conversion of types, dropout.
#pragma once
#include "ops/operation.h"

namespace rvx {

// y = a b, same shapes.
struct Multiply {
  static constexpr const char* name = "multiply";
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

// y = sum over i of factors[i] inputs[i], same shapes, added in order.
struct WeightedSum {
  static constexpr const char* name = "weightedSum";
  std::vector<Input> inputs;
  Output y;
  std::vector<double> factors;

  template <class V>
  void fields(V& v) {
    v(inputs, "inputs"), v(y, "y"), v(factors, "factors");
  }
  void infer() {
    require(!inputs.empty() && inputs.size() == factors.size(), "InvalidArgument",
            "Expected as many factors as tensors, at least one");
    for (const Input& x : inputs) {
      requireType(x, DType::f32, "inputs");
      requireShape(x.shape(), inputs[0].shape(), "inputs");
    }
    y.like(inputs[0]);
  }
};

// y [1] = sum of all values, in double, in an order that depends on their number alone.
struct Sum {
  static constexpr const char* name = "sum";
  Input x;
  Output y;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    y.is({1});
  }
};

// dx = dy [1] everywhere.
struct SumGrad {
  static constexpr const char* name = "sumGrad";
  Input dy;
  Output dx;
  std::vector<double> shape;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(dx, "dx"), v(shape, "shape");
  }
  void infer() {
    requireShape(dy.shape(), {1}, "dy");
    Shape s;
    for (double d : shape) s.push(static_cast<int64_t>(d));
    dx.is(s);
  }
};

// y = x as another type: nearest even, integers saturate, NaN becomes integer 0.
struct Cast {
  static constexpr const char* name = "cast";
  Input x;
  Output y;
  std::string dtype = "f32";

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(dtype, "dtype");
  }
  void infer() { y.is(x.shape(), dtypeFromName(dtype)); }
};

// y_i = x_i / (1 - p) where u_i >= p, else 0; u_i in [0, 1) is word i % 4 of Philox4x32-10 with the
// key `seed` and the counter (i / 4, offset). It is its own gradient with the same seed and offset.
struct Dropout {
  static constexpr const char* name = "dropout";
  Input x;
  Output y;
  double p = 0;
  int64_t seed = 0, offset = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(p, "p"), v(seed, "seed"), v(offset, "offset");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    require(p >= 0 && p < 1, "InvalidArgument", "Expected a probability from 0 to below 1");
    y.like(x);
  }
};

using ArithmeticOperations = OperationList<Multiply, WeightedSum, Sum, SumGrad, Cast, Dropout>;

}  // namespace rvx
