// The table of operations: walks AllOperations, so that a new operation needs no edit here.
#pragma once
#include <napi.h>

#include "core/device.h"

namespace rvx::addon {

// Reads {tokens: handle[], guards: {counts: handle, index}[]}, or undefined, into the job.
void readConditions(const Napi::Value& value, const Device& device, Job& job);
// run(deviceHandle, name, fields, conditions?) -> (object | null)[], the outputs in the order of
// their fields; null where an output is not made.
Napi::Value runOperation(const Napi::CallbackInfo& info);
// Names of all operations.
Napi::Value operationNames(const Napi::CallbackInfo& info);

}  // namespace rvx::addon
