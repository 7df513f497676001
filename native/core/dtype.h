// Element types of tensors.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>

#include "core/error.h"

namespace rvx {

enum class DType : uint8_t { f32, bf16, f16, u8, i16, i32, f64 };

inline size_t sizeOf(DType type) {
  switch (type) {
    case DType::f64:
      return 8;
    case DType::f32:
    case DType::i32:
      return 4;
    case DType::bf16:
    case DType::f16:
    case DType::i16:
      return 2;
    case DType::u8:
      return 1;
  }
  return 0;
}

inline const char* nameOf(DType type) {
  switch (type) {
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    case DType::u8:
      return "u8";
    case DType::i16:
      return "i16";
    case DType::i32:
      return "i32";
    case DType::f64:
      return "f64";
  }
  return "?";
}

inline DType dtypeFromName(const std::string& name) {
  for (DType t :
       {DType::f32, DType::bf16, DType::f16, DType::u8, DType::i16, DType::i32, DType::f64})
    if (name == nameOf(t)) return t;
  throw Error(
      "InvalidArgument",
      "Expected one of f32, bf16, f16, u8, i16, i32, f64 for parameter dtype but received " + name);
}

}  // namespace rvx
