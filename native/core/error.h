// The one exception of the native side. `code` is one of RenvoxErrorCode in lib/errors.ts.
#pragma once
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>

namespace rvx {

class Error : public std::exception {
 public:
  Error(std::string code, std::string message)
      : code_(std::move(code)), message_(std::move(message)) {}
  const char* what() const noexcept override { return message_.c_str(); }
  const std::string& code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }

  // The operation that failed; empty where none did.
  const std::string& operation() const noexcept { return operation_; }
  Error& in(std::string operation) {
    operation_ = std::move(operation);
    return *this;
  }
  // What the addon shows as the JS error's cause: opaque here.
  const std::shared_ptr<void>& cause() const noexcept { return cause_; }
  Error& because(std::shared_ptr<void> cause) {
    cause_ = std::move(cause);
    return *this;
  }

 private:
  std::string code_, message_, operation_;
  std::shared_ptr<void> cause_;
};

// Shape rules are checked in lib/ops with messages for people; this is the second line of defence.
// The message is a text, or a function that puts one together where it is needed: every operation that
// is enqueued passes some ten of these.
template <class Message>
void require(bool ok, const char* code, const Message& message) {
  if (ok) return;
  if constexpr (std::is_invocable_v<const Message&>)
    throw Error(code, message());
  else
    throw Error(code, message);
}

}  // namespace rvx
