// What one JS environment (the main thread or a worker) holds: its devices, what it awaits from them,
// and the way back from their queue threads.
//
// Everything that belongs to JS (references, promises) lives in the Environment and is touched on its
// thread alone; queue threads carry numbers and errors, which may be dropped anywhere.
#pragma once
#include <napi.h>

#include <functional>
#include <memory>
#include <mutex>
#include <unordered_map>
#include <vector>

#include "core/device.h"

namespace rvx::addon {

class Environment;

// The way back. Queue threads may keep it for longer than the environment lives.
class Mailbox {
 public:
  using Message = std::function<void(Environment&)>;

  // Runs `message` on the JS thread. Any thread. Dropped when the environment is going away.
  void post(Message message);

 private:
  friend class Environment;
  std::mutex mutex_;
  std::vector<Message> messages_;
  napi_threadsafe_function wake_ = nullptr;  // null once the environment goes
};

class Environment {
 public:
  explicit Environment(Napi::Env env);

  static Environment& of(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

  // Owned here until closed, because a device must be closed before its last reference goes.
  void add(std::shared_ptr<Device> device) { devices_.push_back(std::move(device)); }
  void close(const std::shared_ptr<Device>& device);

  // Keeps `held` and the process alive until finish() is called with the number returned, which a
  // message does. JS thread. `promise` may be null.
  uint64_t expect(Napi::Object held, napi_deferred promise);
  void finish(uint64_t pending, const Error* error);

  // Keeps `lent` until the owner that is returned goes, on whichever thread. Unlike expect() it does not keep the process alive.
  std::shared_ptr<const void> borrow(Napi::Object lent);

  const std::shared_ptr<Mailbox>& mailbox() const { return mailbox_; }
  Napi::Env env() const { return env_; }

  // Before the environment goes: stops and joins every queue.
  void shutdown();

 private:
  struct Pending {
    Napi::ObjectReference held;
    napi_deferred promise;
  };

  static void deliver(napi_env env, napi_value, void* context, void*);

  napi_env env_;
  std::shared_ptr<Mailbox> mailbox_ = std::make_shared<Mailbox>();
  std::unordered_map<uint64_t, Pending> pending_;
  std::unordered_map<uint64_t, Napi::ObjectReference> lent_;
  uint64_t next_ = 1;
  std::vector<std::shared_ptr<Device>> devices_;
};

}  // namespace rvx::addon
