// The addon's entry point.
#include <napi.h>

class Renvox : public Napi::Addon<Renvox> {
 public:
  Renvox(Napi::Env, Napi::Object exports) {
    DefineAddon(exports, {InstanceMethod("version", &Renvox::Version)});
  }

 private:
  Napi::Value Version(const Napi::CallbackInfo& info) {
    return Napi::String::New(info.Env(), "0.1.0");
  }
};

NODE_API_ADDON(Renvox)
