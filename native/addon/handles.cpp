#include "addon/handles.h"

#include <cstdlib>

namespace rvx::addon {

std::shared_ptr<void> causeOf(Napi::Env env, Napi::Object box) {
  const std::shared_ptr<Mailbox> mailbox = Environment::of(env).mailbox();
  // The last holder may be a queue thread; the reference goes back to the JS thread.
  return std::shared_ptr<Cause>(new Cause{Napi::Persistent(box)}, [mailbox](Cause* cause) {
    mailbox->post([cause](Environment&) { delete cause; });
  });
}

Napi::Error toJs(Napi::Env env, const Error& error) {
  Napi::Error e = Napi::Error::New(env, error.message());
  e.Set("code", error.code());
  if (!error.operation().empty()) e.Set("operation", error.operation());
  if (error.cause()) e.Set("reason", static_cast<Cause*>(error.cause().get())->box.Value());
  return e;
}

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

namespace {

// V8 takes every 64 MiB that it is told of for a reason to collect all garbage, 10 ms of processor time and more: a
// loop that makes and disposes of one large tensor a call had that at every call. So it is told at once of small
// buffers only; of large ones when all of them together have become so much more or less than what it knows.
constexpr int64_t kSmallBytes = 16 << 20;
constexpr int64_t kLargeSlack = 256 << 20;

// Bytes of large buffers that there are, and that the garbage collector knows of. One a thread and not in the
// Environment, which may be gone before its last tensor.
thread_local int64_t largeHeld = 0, largeTold = 0;

// Tells the garbage collector of the memory of a buffer that got its first handle or lost its last: views share it.
void account(napi_env env, Buffer& buffer, int handles) {
  const bool before = buffer.handles > 0;
  buffer.handles += handles;
  const bool after = buffer.handles > 0;
  // A lent array is known already.
  if (before == after || buffer.lent) return;
  const auto bytes = static_cast<int64_t>(buffer.bytes);
  int64_t change = after ? bytes : -bytes;
  if (bytes > kSmallBytes) {
    largeHeld += change;
    change = largeHeld - largeTold;
    if (std::abs(change) <= kLargeSlack) return;
    largeTold = largeHeld;
  }
  int64_t total;
  napi_adjust_external_memory(env, change, &total);
}

}  // namespace

void disposeTensor(napi_env env, TensorHandle& handle) {
  if (!handle.tensor) return;
  account(env, *handle.tensor->buffer, -1);
  handle.tensor.reset();
}

Napi::Value wrapTensor(Napi::Env env, const Tensor& tensor) {
  auto handle = std::make_unique<TensorHandle>();
  handle->tensor = std::make_unique<Tensor>(tensor);
  Napi::Value wrapped = wrap(env, std::move(handle), disposeTensor);
  account(env, *tensor.buffer, 1);
  const auto rank = static_cast<uint32_t>(tensor.shape.rank);
  Napi::Array result = Napi::Array::New(env, rank + 2);
  result.Set(uint32_t{0}, wrapped);
  result.Set(uint32_t{1}, nameOf(tensor.dtype));
  for (uint32_t i = 0; i < rank; ++i)
    result.Set(i + 2, static_cast<double>(tensor.shape[static_cast<int>(i)]));
  return result;
}

}  // namespace rvx::addon
