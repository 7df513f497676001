// What an operation is made of: tensors in and out, and attributes.
//
// Each operation is a struct in one of the headers listed in ops.h:
//
//   struct Example {
//     static constexpr const char* name = "example";        // the same word in lib/ops, cpu/,
//     cuda/, test/ Input x;                 // a tensor that is read InOut state;             // a
//     tensor that is changed in place Output y;                // a tensor that is made double
//     factor = 1; template <class V> void fields(V& v) {                // how the addon fills it
//     from a JS object
//       v(x, "x"), v(state, "state"), v(y, "y"), v(factor, "factor");
//     }
//     void infer() { y.like(x); }                           // shapes and types of the outputs;
//     checks
//   };
//
// An Input that may be left out is written OptionalInput. Attributes: bool, int64_t, double,
// std::string, std::array<T, N>, std::vector<double>, and std::vector<InOut> / std::vector<Input>.
// In the JS object a missing attribute keeps the default of its member.
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <tuple>
#include <vector>

#include "core/device.h"
#include "core/tensor.h"

namespace rvx {

struct Input {
  Tensor tensor;
  const Shape& shape() const { return tensor.shape; }
  DType dtype() const { return tensor.dtype; }
  template <class T = float>
  const T* data() const {
    return tensor.data<T>();
  }
};

struct OptionalInput : Input {
  explicit operator bool() const { return static_cast<bool>(tensor); }
  // nullptr where the tensor was left out.
  template <class T = float>
  const T* data() const {
    return tensor ? tensor.data<T>() : nullptr;
  }
};

struct InOut {
  Tensor tensor;
  const Shape& shape() const { return tensor.shape; }
  DType dtype() const { return tensor.dtype; }
  template <class T = float>
  T* data() const {
    return tensor.data<T>();
  }
};

struct Output {
  Tensor tensor;  // set by the addon after infer()
  Shape shape;
  DType dtype = DType::f32;
  bool wanted = true;  // infer() may say that this one is not made; it then has no tensor

  void like(const Input& x) { shape = x.shape(), dtype = x.dtype(); }
  void is(const Shape& s, DType t = DType::f32) { shape = s, dtype = t; }
  explicit operator bool() const { return static_cast<bool>(tensor); }
  template <class T = float>
  T* data() const {
    return tensor ? tensor.data<T>() : nullptr;
  }
};

using Int3 = std::array<int64_t, 3>;    // along D, H, W
using Real3 = std::array<double, 3>;    // along D, H, W
using Affine = std::array<double, 12>;  // row-major 3x4: index_in(d,h,w) = A [d,h,w,1]_out

// What an implementation may use while it runs.
struct Context {
  Device& device;
};

// Temporary device memory for the length of one operation.
class Workspace {
 public:
  Workspace(Context& cx, size_t bytes) : allocator_(cx.device.allocator()) {
    data_ = allocator_.allocate(bytes, &capacity_, Allocator::Use::brief);
  }
  ~Workspace() { allocator_.free(data_, capacity_); }
  Workspace(const Workspace&) = delete;
  Workspace& operator=(const Workspace&) = delete;
  template <class T = float>
  T* data() const {
    return static_cast<T*>(data_);
  }

 private:
  Allocator& allocator_;
  void* data_ = nullptr;
  size_t capacity_ = 0;
};

// A shape given as an attribute.
inline Shape shapeOf(const std::vector<double>& axes) {
  Shape shape;
  for (double n : axes) {
    require(n >= 0 && n <= 9007199254740991.0, "ShapeMismatch",
            "Expected axes that are non-negative integers");
    shape.push(static_cast<int64_t>(n));
  }
  return shape;
}

inline void requireType(const Input& x, DType type, const char* what) {
  require(x.dtype() == type, "DtypeMismatch", [&] {
    return std::string("Expected ") + nameOf(type) + " for tensor " + what + " but received " +
           nameOf(x.dtype());
  });
}
// Activations and their gradients may be stored as f32, bf16 or f16; weights and channel vectors are f32.
inline void requireFloat(const Input& x, const char* what) {
  require(x.dtype() == DType::f32 || x.dtype() == DType::bf16 || x.dtype() == DType::f16,
          "DtypeMismatch", [&] {
            return std::string("Expected f32, bf16 or f16 for tensor ") + what + " but received " +
                   nameOf(x.dtype());
          });
}
inline void requireRank(const Input& x, int rank, const char* what) {
  require(x.shape().rank == rank, "ShapeMismatch", [&] {
    return std::string("Expected ") + std::to_string(rank) + " axes for tensor " + what +
           " but received shape " + x.shape().text();
  });
}
inline void requireShape(const Shape& shape, const Shape& wanted, const char* what) {
  require(shape == wanted, "ShapeMismatch", [&] {
    return std::string("Expected shape ") + wanted.text() + " for tensor " + what +
           " but received " + shape.text();
  });
}

template <class... Ops>
struct OperationList {};

template <class... Lists>
struct Concatenate;
template <class... A>
struct Concatenate<OperationList<A...>> {
  using type = OperationList<A...>;
};
template <class... A, class... B, class... Rest>
struct Concatenate<OperationList<A...>, OperationList<B...>, Rest...> {
  using type = typename Concatenate<OperationList<A..., B...>, Rest...>::type;
};

}  // namespace rvx
