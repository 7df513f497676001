#include "addon/environment.h"

#include <algorithm>
#include <utility>

#include "addon/handles.h"

namespace rvx::addon {

void Mailbox::post(Message message) {
  std::lock_guard<std::mutex> lock(mutex_);
  messages_.push_back(std::move(message));
  if (wake_ && messages_.size() == 1)
    napi_call_threadsafe_function(wake_, nullptr, napi_tsfn_nonblocking);
}

Environment::Environment(Napi::Env env) : env_(env) {
  napi_value name = Napi::String::New(env, "renvox");
  NAPI_THROW_IF_FAILED_VOID(
      env, napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr,
                                           this, deliver, &mailbox_->wake_));
  napi_unref_threadsafe_function(env, mailbox_->wake_);
  // Added after the thread-safe function's own hook, hence run before it: when that function goes,
  // no queue thread is left to call it.
  napi_add_env_cleanup_hook(
      env, [](void* self) { static_cast<Environment*>(self)->shutdown(); }, this);
}

void Environment::close(const std::shared_ptr<Device>& device) {
  device->close();
  devices_.erase(std::remove(devices_.begin(), devices_.end(), device), devices_.end());
}

uint64_t Environment::expect(Napi::Object held, napi_deferred promise) {
  Pending pending{Napi::Persistent(held), promise};
  if (pending_.empty()) napi_ref_threadsafe_function(env_, mailbox_->wake_);
  pending_.emplace(next_, std::move(pending));
  return next_++;
}

void Environment::finish(uint64_t number, const Error* error) {
  auto found = pending_.find(number);
  if (found == pending_.end()) return;
  const Pending pending = std::move(found->second);
  pending_.erase(found);
  if (pending_.empty()) napi_unref_threadsafe_function(env_, mailbox_->wake_);
  if (!pending.promise) return;
  if (error)
    napi_reject_deferred(env_, pending.promise, toJs(env_, *error).Value());
  else
    napi_resolve_deferred(env_, pending.promise, env().Undefined());
}

std::shared_ptr<const void> Environment::borrow(Napi::Object lent) {
  const uint64_t number = next_++;
  lent_.emplace(number, Napi::Persistent(lent));
  return std::shared_ptr<const void>(this, [mailbox = mailbox_, number](const void*) {
    mailbox->post([number](Environment& e) { e.lent_.erase(number); });
  });
}

void Environment::deliver(napi_env env, napi_value, void* context, void*) {
  if (!env) return;  // being torn down
  auto* self = static_cast<Environment*>(context);
  std::vector<Mailbox::Message> messages;
  {
    std::lock_guard<std::mutex> lock(self->mailbox_->mutex_);
    messages.swap(self->mailbox_->messages_);
  }
  for (auto& message : messages) {
    Napi::HandleScope scope(env);
    try {
      message(*self);
    } catch (const Napi::Error&) {
      // A worker that is being terminated refuses calls: nobody is left to hear of it. No exception
      // may leave through Node's C code.
    }
  }
}

void Environment::shutdown() {
  {
    std::lock_guard<std::mutex> lock(mailbox_->mutex_);
    mailbox_->wake_ = nullptr;
  }
  for (auto& device : devices_) device->close();
  devices_.clear();
  pending_.clear();
  lent_.clear();
  std::vector<Mailbox::Message> dropped;
  std::lock_guard<std::mutex> lock(mailbox_->mutex_);
  dropped.swap(mailbox_->messages_);
}

}  // namespace rvx::addon
