// Native objects as JS holds them: externals with a type tag, so that a foreign object is a
// TypeError and not a crash.
#pragma once
#include <napi.h>

#include <memory>
#include <string>

#include "addon/environment.h"
#include "core/device.h"

namespace rvx::addon {

// A JS value that native code carries as the cause of an Error, over threads.
struct Cause {
  Napi::ObjectReference box;  // {value}
};
std::shared_ptr<void> causeOf(Napi::Env env, Napi::Object box);

// Turns a rvx::Error into a JS Error with `code`, `operation` and, where there is one, `reason`, the
// box of its cause; lib/native.ts makes a RenvoxError of it.
Napi::Error toJs(Napi::Env env, const Error& error);

template <class T>
struct Tag;

// Null once disposed.
struct TensorHandle {
  std::unique_ptr<Tensor> tensor;
};
struct DeviceHandle {
  std::shared_ptr<Device> device;
};
struct TokenHandle {
  std::shared_ptr<CancelToken> token;
};

template <>
struct Tag<TensorHandle> {
  static constexpr const char* name = "Tensor";
  static constexpr napi_type_tag value{0x72656e766f780001, 0x7c1d5a5b0f2e4e01};
};
template <>
struct Tag<DeviceHandle> {
  static constexpr const char* name = "Device";
  static constexpr napi_type_tag value{0x72656e766f780002, 0x7c1d5a5b0f2e4e02};
};
template <>
struct Tag<TokenHandle> {
  static constexpr const char* name = "CancelToken";
  static constexpr napi_type_tag value{0x72656e766f780003, 0x7c1d5a5b0f2e4e03};
};

template <class T>
T& unwrap(Napi::Env env, napi_value value) {
  bool ours = false;
  napi_valuetype type;
  napi_typeof(env, value, &type);
  if (type == napi_external) napi_check_object_type_tag(env, value, &Tag<T>::value, &ours);
  if (!ours)
    throw Napi::TypeError::New(env, std::string("Expected a native ") + Tag<T>::name + " handle");
  void* data = nullptr;
  napi_get_value_external(env, value, &data);
  return *static_cast<T*>(data);
}

template <class T>
Napi::Value wrap(Napi::Env env, std::unique_ptr<T> object, void (*release)(napi_env, T&)) {
  struct Held {
    T object;
    void (*release)(napi_env, T&);
  };
  // The object comes first, so that the external's pointer is also the object's.
  auto* held = new Held{std::move(*object), release};
  napi_value value;
  napi_status status = napi_create_external(
      env, held,
      [](napi_env e, void* data, void*) {
        auto* h = static_cast<Held*>(data);
        h->release(e, h->object);
        delete h;
      },
      nullptr, &value);
  if (status != napi_ok) {
    delete held;
    throw Napi::Error::New(env);
  }
  napi_type_tag_object(env, value, &Tag<T>::value);
  return Napi::Value(env, value);
}

const Tensor& tensorOf(Napi::Env env, napi_value value);
Device& deviceOf(Napi::Env env, napi_value value);
// [handle, dtype, ...shape]
Napi::Value wrapTensor(Napi::Env env, const Tensor& tensor);
void disposeTensor(napi_env env, TensorHandle& handle);

}  // namespace rvx::addon
