// What one JS environment (the main thread or a worker) holds: its devices, and the way back from
// their queue threads.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "core/device.h"

namespace rvx::addon {

class Environment {
 public:
  explicit Environment(Napi::Env env);

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  // Owned here until closed, because a device must be closed before its last reference goes.
  void add(std::shared_ptr<Device> device) { devices_.push_back(std::move(device)); }
  void close(const std::shared_ptr<Device>& device);

  // Announces that `settle` will be posted once; keeps the process alive until then. JS thread.
  void expect();
  // Runs `settle` on the JS thread. Any thread. Dropped when the environment is going away.
  void post(std::function<void(Napi::Env)> settle);

  // Before the environment goes: stops and joins every queue.
  void shutdown();

 private:
  static void drain(napi_env env, napi_value, void* context, void*);

  napi_env env_;
  napi_threadsafe_function wake_ = nullptr;
  int expected_ = 0;
  std::vector<std::shared_ptr<Device>> devices_;
  std::mutex mutex_;
  bool down_ = false;
  std::vector<std::function<void(Napi::Env)>> settled_;
};

}  // namespace rvx::addon
