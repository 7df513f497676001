// The table of operations: walks AllOperations, so that a new operation needs no edit here.
#pragma once
#include <napi.h>

#include "core/device.h"

namespace rvx::addon {

// Reads {tokens: handle[], guards: {counts: handle, index}[]}, or undefined, into the job.
void readConditions(const Napi::Value& value, const Device& device, Job& job);
// run(deviceHandle, name, conditions, ...fields) -> (tensor | null)[]: the fields in the order of operations(), undefined or null
// where one is left out; the outputs in the order of their declaration, null where one is not made.
Napi::Value runOperation(const Napi::CallbackInfo& info);
// {name: field[]} of all operations: what each takes, in order.
Napi::Value operations(const Napi::CallbackInfo& info);

}  // namespace rvx::addon
