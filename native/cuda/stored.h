// Values of the types that activations are stored in, f32, bf16 and f16, as kernels compute with them: in f32.
#pragma once
#include <type_traits>

#include "core/dtype.h"
#include "cuda/kernel.h"
#include "math/convert.h"

namespace rvx::cuda {

RVX_DEVICE float asFloat(float v) { return v; }
RVX_DEVICE float asFloat(Bf16 v) { return fromBf16(v.bits); }
// The chip's conversion, which takes fewer registers than the portable one; they differ in the digits of NaN alone.
RVX_DEVICE float asFloat(F16 v) { return halfToFloat(v.bits); }

template <class T>
RVX_DEVICE T asStored(float v) {
  if constexpr (std::is_same_v<T, float>)
    return v;
  else
    return T{static_cast<uint16_t>(pack<T>(v, 0.0f))};
}

// Calls f with a null pointer to the type that stores `type`.
template <class F>
void withStoredType(DType type, F&& f) {
  if (type == DType::bf16) return f(static_cast<Bf16*>(nullptr));
  if (type == DType::f16) return f(static_cast<F16*>(nullptr));
  f(static_cast<float*>(nullptr));
}

}  // namespace rvx::cuda
