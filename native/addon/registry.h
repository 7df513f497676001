// The table of operations: walks AllOperations, so that a new operation needs no edit here.
#pragma once
#include <napi.h>

namespace rvx::addon {

// run(deviceHandle, name, fields, {token?, guard?, index?}) -> (object | null)[], the outputs in
// the order of their fields; null where an output is not made.
Napi::Value runOperation(const Napi::CallbackInfo& info);
// Names of all operations.
Napi::Value operationNames(const Napi::CallbackInfo& info);

}  // namespace rvx::addon
