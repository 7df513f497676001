#include "addon/environment.h"

#include <algorithm>

namespace rvx::addon {

Environment::Environment(Napi::Env env) : env_(env) {
  napi_value name = Napi::String::New(env, "renvox");
  NAPI_THROW_IF_FAILED_VOID(
      env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                           this, drain, &wake_));
  napi_unref_threadsafe_function(env, wake_);
  // Added after the thread-safe function's own hook, hence run before it: when that function goes,
  // no queue thread is left to call it.
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Environment*>(self)->shutdown(); }, this);
}

void Environment::close(const std::shared_ptr<Device>& device) {
  device->close();
  devices_.erase(std::remove(devices_.begin(), devices_.end(), device), devices_.end());
}

void Environment::expect() {
  if (expected_++ == 0) napi_ref_threadsafe_function(env_, wake_);
}

void Environment::post(std::function<void(Napi::Env)> settle) {
  std::lock_guard<std::mutex> lock(mutex_);
  if (down_) return;
  settled_.push_back(std::move(settle));
  if (settled_.size() == 1) napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

void Environment::drain(napi_env env, napi_value, void* context, void*) {
  if (!env) return;  // being torn down
  auto* self = static_cast<Environment*>(context);
  std::vector<std::function<void(Napi::Env)>> ready;
  {
    std::lock_guard<std::mutex> lock(self->mutex_);
    ready.swap(self->settled_);
  }
  for (auto& settle : ready) {
    Napi::HandleScope scope(env);
    settle(env);
    if (--self->expected_ == 0) napi_unref_threadsafe_function(env, self->wake_);
  }
}

void Environment::shutdown() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    down_ = true;
  }
  for (auto& device : devices_) device->close();
  devices_.clear();
  settled_.clear();
}

}  // namespace rvx::addon
