// The simulated GPU's controls, for tests and benches: exists only in a build that has one.
#pragma once
#include <napi.h>

namespace rvx::addon {

Napi::Object simulatorObject(Napi::Env env);

}  // namespace rvx::addon
