#include "addon/handles.h"

namespace rvx::addon {

const Tensor& tensorOf(Napi::Env env, napi_value value) {
  TensorHandle& handle = unwrap<TensorHandle>(env, value);
  if (!handle.tensor) throw Error("DisposedError", "The tensor was disposed");
  return *handle.tensor;
}

Device& deviceOf(Napi::Env env, napi_value value) {
  DeviceHandle& handle = unwrap<DeviceHandle>(env, value);
  if (!handle.device || handle.device->closed())
    throw Error("DisposedError", "The device was disposed");
  return *handle.device;
}

void disposeTensor(napi_env env, TensorHandle& handle) {
  if (!handle.tensor) return;
  handle.tensor.reset();
  int64_t now;
  napi_adjust_external_memory(env, -handle.accounted, &now);
}

Napi::Object wrapTensor(Napi::Env env, const Tensor& tensor) {
  auto handle = std::make_unique<TensorHandle>();
  handle->tensor = std::make_unique<Tensor>(tensor);
  handle->accounted = static_cast<int64_t>(tensor.bytes());
  int64_t now;
  napi_adjust_external_memory(env, handle->accounted, &now);
  Napi::Object result = Napi::Object::New(env);
  result.Set("handle", wrap(env, std::move(handle), disposeTensor));
  Napi::Array shape = Napi::Array::New(env, static_cast<size_t>(tensor.shape.rank));
  for (int i = 0; i < tensor.shape.rank; ++i)
    shape.Set(static_cast<uint32_t>(i), static_cast<double>(tensor.shape[i]));
  result.Set("shape", shape);
  result.Set("dtype", nameOf(tensor.dtype));
  return result;
}

}  // namespace rvx::addon
