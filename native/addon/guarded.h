// What every function of the addon is wrapped in.
#pragma once
#include <napi.h>

#include <new>

#include "addon/environment.h"
#include "addon/handles.h"
#include "core/error.h"

namespace rvx::addon {

// Maps rvx::Error to a JS exception at the border.
template <Napi::Value (*F)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return F(info);
  } catch (const Napi::Error&) {
    throw;
  } catch (const Error& e) {
    throw toJs(info.Env(), e);
  } catch (const std::bad_alloc&) {
    throw toJs(info.Env(), Error("OutOfMemory", "The machine has no memory left"));
  } catch (const std::exception& e) {
    throw toJs(info.Env(), Error("InternalError", e.what()));
  }
}

}  // namespace rvx::addon
