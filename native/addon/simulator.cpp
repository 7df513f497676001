#include "addon/simulator.h"

#include "addon/arguments.h"
#include "addon/guarded.h"
#include "ops/backend.h"

namespace rvx::addon {
namespace {

cuda::Simulator& simulator() {
  cuda::Simulator* one = cuda::simulator();
  require(one != nullptr, "DeviceUnavailable", "This build has no simulated GPU");
  return *one;
}

Napi::Value failCall(const Napi::CallbackInfo& info) {
  const int64_t times = info[2].IsUndefined() ? 1 : integerOf(info[2], "times");
  simulator().failCall(integerOf(info[0], "call"), static_cast<int>(integerOf(info[1], "code")),
                       times);
  return info.Env().Undefined();
}

Napi::Value calls(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(simulator().calls()));
}

Napi::Value waits(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(simulator().waits()));
}

Napi::Value forgetWaits(const Napi::CallbackInfo& info) {
  simulator().forgetWaits();
  return info.Env().Undefined();
}

Napi::Value schedule(const Napi::CallbackInfo& info) {
  simulator().schedule(textOf(info[0], "schedule"), integerOf(info[1], "seed"));
  return info.Env().Undefined();
}

Napi::Value count(const Napi::CallbackInfo& info) {
  simulator().count(integerOf(info[0], "sample"));
  return info.Env().Undefined();
}

Napi::Value counted(const Napi::CallbackInfo& info) {
  Napi::Array rows = Napi::Array::New(info.Env());
  for (const cuda::SimulatedLaunch& launch : simulator().counted()) {
    Napi::Object row = Napi::Object::New(info.Env());
    row.Set("name", launch.name);
    const auto set = [&](const char* name, uint64_t value) {
      row.Set(name, static_cast<double>(value));
    };
    set("blocks", launch.blocks), set("blocksRun", launch.blocksRun);
    set("threads", launch.threads), set("sharedBytes", launch.sharedBytes);
    set("readRequested", launch.readRequested), set("writeRequested", launch.writeRequested);
    set("readTouched", launch.readTouched), set("writeTouched", launch.writeTouched);
    set("mma", launch.mma), set("atomics", launch.atomics), set("barriers", launch.barriers);
    set("sharedAccesses", launch.sharedAccesses), set("bankConflicts", launch.bankConflicts);
    rows.Set(rows.Length(), row);
  }
  return rows;
}

Napi::Value times(const Napi::CallbackInfo& info) {
  Napi::Object kernels = Napi::Object::New(info.Env());
  for (const auto& [name, time] : simulator().times()) {
    Napi::Object row = Napi::Object::New(info.Env());
    row.Set("launches", static_cast<double>(time.launches));
    row.Set("seconds", time.seconds);
    kernels.Set(name, row);
  }
  return kernels;
}

Napi::Value mutants(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const std::string& name : simulator().mutants())
    names.Set(names.Length(), Napi::String::New(info.Env(), name));
  return names;
}

Napi::Value runMutant(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), simulator().runMutant(textOf(info[0], "name")));
}

template <Napi::Value (*F)(const Napi::CallbackInfo&)>
void add(Napi::Object object, const char* name) {
  object.Set(name, Napi::Function::New(object.Env(), guarded<F>, name));
}

}  // namespace

Napi::Object simulatorObject(Napi::Env env) {
  Napi::Object object = Napi::Object::New(env);
  add<failCall>(object, "failCall");
  add<calls>(object, "calls");
  add<waits>(object, "waits");
  add<forgetWaits>(object, "forgetWaits");
  add<schedule>(object, "schedule");
  add<count>(object, "count");
  add<counted>(object, "counted");
  add<times>(object, "times");
  add<mutants>(object, "mutants");
  add<runMutant>(object, "runMutant");
  return object;
}

}  // namespace rvx::addon
