// From the type that a tensor says it has to the type of its elements.
#pragma once
#include <string>

#include "math/convert.h"
#include "ops/operation.h"

namespace rvx {

// Calls f with a null pointer to the type that stores `type`.
template <class F>
void withElementType(DType type, F&& f) {
  switch (type) {
    case DType::f32:
      return f(static_cast<float*>(nullptr));
    case DType::f64:
      return f(static_cast<double*>(nullptr));
    case DType::bf16:
      return f(static_cast<Bf16*>(nullptr));
    case DType::f16:
      return f(static_cast<F16*>(nullptr));
    case DType::u8:
      return f(static_cast<uint8_t*>(nullptr));
    case DType::i16:
      return f(static_cast<int16_t*>(nullptr));
    case DType::i32:
      return f(static_cast<int32_t*>(nullptr));
  }
}

// Calls f(const T* data) with the element type of a label map.
template <class F>
void withLabelType(const Input& x, F&& f) {
  switch (x.dtype()) {
    case DType::u8:
      return f(x.data<uint8_t>());
    case DType::i16:
      return f(x.data<int16_t>());
    case DType::i32:
      return f(x.data<int32_t>());
    default:
      throw Error("DtypeMismatch", std::string("A label map of type ") + nameOf(x.dtype()));
  }
}

// The same of an image that is resampled, which may be f32 too.
template <class F>
void withVoxelType(const Input& x, F&& f) {
  switch (x.dtype()) {
    case DType::f32:
      return f(x.data<float>());
    case DType::u8:
    case DType::i16:
    case DType::i32:
      return withLabelType(x, f);
    default:
      throw Error("DtypeMismatch", "Resampling takes f32, i16, i32 or u8");
  }
}

}  // namespace rvx
