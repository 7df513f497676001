// From the type that a tensor says it has to the type of its elements.
#pragma once
#include <string>

#include "ops/operation.h"

namespace rvx {

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
