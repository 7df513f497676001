// Reads the arguments of the addon's functions. What is of the wrong kind is a TypeError: lib/ checks
// arguments for people, so a wrong one here comes from a caller that went past it.
#pragma once
#include <napi.h>

#include <cmath>
#include <string>

#include "core/shape.h"

namespace rvx::addon {

[[noreturn]] inline void wrongType(Napi::Env env, const char* expected, const char* name) {
  throw Napi::TypeError::New(env,
                             std::string("Expected ") + expected + " for native argument " + name);
}

inline std::string textOf(const Napi::Value& value, const char* name) {
  if (!value.IsString()) wrongType(value.Env(), "a string", name);
  return value.As<Napi::String>().Utf8Value();
}

inline double numberOf(const Napi::Value& value, const char* name) {
  if (!value.IsNumber()) wrongType(value.Env(), "a number", name);
  return value.As<Napi::Number>().DoubleValue();
}

inline int64_t integerOf(const Napi::Value& value, const char* name) {
  const double number = numberOf(value, name);
  if (!(std::abs(number) <= 9007199254740991.0) || number != std::floor(number))
    wrongType(value.Env(), "an integer", name);
  return static_cast<int64_t>(number);
}

inline Napi::Object objectOf(const Napi::Value& value, const char* name) {
  if (!value.IsObject()) wrongType(value.Env(), "an object", name);
  return value.As<Napi::Object>();
}

inline Napi::Array arrayOf(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) wrongType(value.Env(), "an array", name);
  return value.As<Napi::Array>();
}

inline Shape shapeOf(const Napi::Value& value, const char* name) {
  Napi::Array array = arrayOf(value, name);
  Shape shape;
  for (uint32_t i = 0; i < array.Length(); ++i) shape.push(integerOf(array.Get(i), name));
  return shape;
}

// The memory of a typed array, over an ArrayBuffer or a SharedArrayBuffer.
struct Bytes {
  char* data;
  size_t size;
};

inline Bytes bytesOf(const Napi::Value& value, const char* name) {
  if (!value.IsTypedArray()) wrongType(value.Env(), "a typed array", name);
  napi_typedarray_type type;
  size_t length = 0;
  void* data = nullptr;
  napi_get_typedarray_info(value.Env(), value, &type, &length, &data, nullptr, nullptr);
  size_t element = 1;
  switch (type) {
    case napi_int16_array:
    case napi_uint16_array:
      element = 2;
      break;
    case napi_int32_array:
    case napi_uint32_array:
    case napi_float32_array:
      element = 4;
      break;
    case napi_float64_array:
    case napi_bigint64_array:
    case napi_biguint64_array:
      element = 8;
      break;
    default:
      break;
  }
  return {static_cast<char*>(data), length * element};
}

}  // namespace rvx::addon
