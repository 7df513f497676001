// The addon: glue only. Every function here unwraps its arguments, enqueues, and settles promises.
#include <napi.h>

#include "addon/environment.h"
#include "addon/handles.h"
#include "addon/registry.h"
#include "core/isa.h"
#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::addon {
namespace {

// Maps rvx::Error to a JS exception at the border.
template <Napi::Value (*F)(const Napi::CallbackInfo&)>
Napi::Value guarded(const Napi::CallbackInfo& info) {
  try {
    return F(info);
  } catch (const Error& e) {
    throw toJs(info.Env(), e);
  } catch (const std::bad_alloc&) {
    throw toJs(info.Env(), Error("OutOfMemory", "The machine has no memory left"));
  }
}

Napi::Value createDevice(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string kind = info[0].As<Napi::String>().Utf8Value();
  auto device = kind == "cuda" ? cuda::makeDevice() : makeCpuDevice();
  Environment::of(env).add(device);
  auto handle = std::make_unique<DeviceHandle>();
  handle->device = std::move(device);
  return wrap<DeviceHandle>(env, std::move(handle), [](napi_env e, DeviceHandle& h) {
    // A device that was forgotten: its queue is stopped when the garbage collector finds it.
    if (h.device && !h.device->closed()) Environment::of(Napi::Env(e)).close(h.device);
  });
}

Napi::Value closeDevice(const Napi::CallbackInfo& info) {
  DeviceHandle& handle = unwrap<DeviceHandle>(info.Env(), info[0]);
  if (handle.device && !handle.device->closed()) Environment::of(info.Env()).close(handle.device);
  return info.Env().Undefined();
}

Napi::Value memory(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  const MemoryStatistics s = deviceOf(info.Env(), info[0]).allocator().statistics();
  o.Set("live", static_cast<double>(s.live));
  o.Set("cached", static_cast<double>(s.cached));
  o.Set("peak", static_cast<double>(s.peak));
  o.Set("limit", s.limit == std::numeric_limits<uint64_t>::max()
                     ? Napi::Number::New(info.Env(), std::numeric_limits<double>::infinity())
                     : Napi::Number::New(info.Env(), static_cast<double>(s.limit)));
  return o;
}

Napi::Value setMemoryLimit(const Napi::CallbackInfo& info) {
  const double bytes = info[1].As<Napi::Number>().DoubleValue();
  deviceOf(info.Env(), info[0])
      .allocator()
      .setLimit(bytes >= 9e15 ? std::numeric_limits<uint64_t>::max()
                              : static_cast<uint64_t>(bytes));
  return info.Env().Undefined();
}

Napi::Value resetPeak(const Napi::CallbackInfo& info) {
  deviceOf(info.Env(), info[0]).allocator().resetPeak();
  return info.Env().Undefined();
}

Napi::Value releaseCache(const Napi::CallbackInfo& info) {
  deviceOf(info.Env(), info[0]).allocator().releaseCache();
  return info.Env().Undefined();
}

Napi::Value transfers(const Napi::CallbackInfo& info) {
  const TransferCounters& t = deviceOf(info.Env(), info[0]).transfers;
  Napi::Object o = Napi::Object::New(info.Env());
  o.Set("uploads", static_cast<double>(t.uploads));
  o.Set("uploadBytes", static_cast<double>(t.uploadBytes));
  o.Set("downloads", static_cast<double>(t.downloads));
  o.Set("downloadBytes", static_cast<double>(t.downloadBytes));
  o.Set("readbacks", static_cast<double>(t.readbacks));
  o.Set("readbackBytes", static_cast<double>(t.readbackBytes));
  return o;
}

Shape shapeOf(const Napi::Value& value) {
  Napi::Array array = value.As<Napi::Array>();
  Shape shape;
  for (uint32_t i = 0; i < array.Length(); ++i)
    shape.push(array.Get(i).As<Napi::Number>().Int64Value());
  return shape;
}

// upload(device, typedArray, shape, dtype, borrow): with borrow the array is read by the queue
// thread and must not change until then; without, it is copied now.
Napi::Value upload(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  Napi::TypedArray array = info[1].As<Napi::TypedArray>();
  Tensor tensor = device.makeTensor(shapeOf(info[2]), dtypeFromName(info[3].As<Napi::String>()));
  require(array.ByteLength() == tensor.bytes(), "ShapeMismatch",
          "Expected " + std::to_string(tensor.bytes()) + " bytes but received " +
              std::to_string(array.ByteLength()));
  const char* from = static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  Job job;
  job.name = "upload";
  job.outputs.push_back(tensor);
  Device* target = &device;
  const auto count = [target, tensor] {
    target->transfers.uploads++;
    target->transfers.uploadBytes += tensor.bytes();
  };
  if (info[4].ToBoolean().Value()) {
    Environment& environment = Environment::of(env);
    auto* hold = new Napi::Reference<Napi::TypedArray>(Napi::Persistent(array));
    environment.expect();
    Environment* back = &environment;
    // Released on the JS thread when the job is gone, run or not.
    std::shared_ptr<void> release(
        nullptr, [back, hold](void*) { back->post([hold](Napi::Env) { delete hold; }); });
    job.run = [target, tensor, from, release, count] {
      target->copyIn(tensor.buffer->data, from, tensor.bytes());
      count();
    };
  } else {
    auto copy = std::make_shared<std::vector<char>>(from, from + tensor.bytes());
    job.run = [target, tensor, copy, count] {
      target->copyIn(tensor.buffer->data, copy->data(), copy->size());
      count();
    };
  }
  Napi::Object result = wrapTensor(env, tensor);
  device.enqueue(std::move(job));
  return result;
}

// A view of the same memory with another shape of the same size.
Napi::Value reshape(const Napi::CallbackInfo& info) {
  Tensor view = tensorOf(info.Env(), info[0]);
  const Shape shape = shapeOf(info[1]);
  require(shape.size() == view.shape.size(), "ShapeMismatch",
          "Cannot view " + view.shape.text() + " as " + shape.text());
  view.shape = shape;
  return wrapTensor(info.Env(), view);
}

// download(device, handles[], arrays[]) -> promise<undefined>: fills the arrays; one download.
Napi::Value download(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  Napi::Array handles = info[1].As<Napi::Array>(), arrays = info[2].As<Napi::Array>();
  std::vector<Tensor> tensors;
  std::vector<void*> hosts;
  for (uint32_t i = 0; i < handles.Length(); ++i) {
    tensors.push_back(tensorOf(env, handles.Get(i)));
    Napi::TypedArray a = arrays.Get(i).As<Napi::TypedArray>();
    require(a.ByteLength() == tensors.back().bytes(), "InternalError",
            "download: wrong array size");
    hosts.push_back(static_cast<char*>(a.ArrayBuffer().Data()) + a.ByteOffset());
  }
  Environment& environment = Environment::of(env);
  Environment* back = &environment;
  auto deferred = Napi::Promise::Deferred::New(env);
  auto* hold = new Napi::ObjectReference(Napi::Persistent(arrays.As<Napi::Object>()));
  environment.expect();
  device.read(std::move(tensors), std::move(hosts), [back, hold, deferred](const Error* error) {
    std::shared_ptr<Error> copy = error ? std::make_shared<Error>(*error) : nullptr;
    back->post([hold, deferred, copy](Napi::Env e) {
      delete hold;
      if (copy)
        deferred.Reject(toJs(e, *copy).Value());
      else
        deferred.Resolve(e.Undefined());
    });
  });
  return deferred.Promise();
}

Napi::Value drain(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  Environment& environment = Environment::of(env);
  Environment* back = &environment;
  auto deferred = Napi::Promise::Deferred::New(env);
  environment.expect();
  device.drain([back, deferred](const Error*) {
    back->post([deferred](Napi::Env e) { deferred.Resolve(e.Undefined()); });
  });
  return deferred.Promise();
}

Napi::Value dispose(const Napi::CallbackInfo& info) {
  disposeTensor(info.Env(), unwrap<TensorHandle>(info.Env(), info[0]));
  return info.Env().Undefined();
}

Napi::Value createToken(const Napi::CallbackInfo& info) {
  auto handle = std::make_unique<TokenHandle>();
  handle->token = std::make_shared<CancelToken>();
  return wrap<TokenHandle>(info.Env(), std::move(handle), [](napi_env, TokenHandle&) {});
}

Napi::Value cancel(const Napi::CallbackInfo& info) {
  unwrap<TokenHandle>(info.Env(), info[0]).token->cancelled = true;
  return info.Env().Undefined();
}

Napi::Value liveBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(liveBytesOfProcess()));
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  if (info[0].IsNumber()) setPoolThreads(info[0].As<Napi::Number>().Int32Value());
  return Napi::Number::New(info.Env(), poolThreads());
}

Napi::Value instructionSet(const Napi::CallbackInfo& info) {
  if (info[0].IsString()) {
    const std::string wanted = info[0].As<Napi::String>().Utf8Value();
    for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512})
      if (wanted == nameOf(i) && !setIsa(i))
        throw Error("DeviceUnavailable", "This CPU does not have the instruction set " + wanted);
  }
  return Napi::String::New(info.Env(), nameOf(isa()));
}

Napi::Value instructionSets(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isaSupported(i)) names.Set(names.Length(), nameOf(i));
  return names;
}

Napi::Value cudaReason(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), cuda::unavailableReason());
}

template <Napi::Value (*F)(const Napi::CallbackInfo&)>
void add(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New(exports.Env(), guarded<F>, name));
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new Environment(env));
  add<createDevice>(exports, "createDevice");
  add<closeDevice>(exports, "closeDevice");
  add<memory>(exports, "memory");
  add<setMemoryLimit>(exports, "setMemoryLimit");
  add<resetPeak>(exports, "resetPeak");
  add<releaseCache>(exports, "releaseCache");
  add<transfers>(exports, "transfers");
  add<upload>(exports, "upload");
  add<reshape>(exports, "reshape");
  add<download>(exports, "download");
  add<drain>(exports, "drain");
  add<dispose>(exports, "dispose");
  add<createToken>(exports, "createToken");
  add<cancel>(exports, "cancel");
  add<liveBytes>(exports, "liveBytes");
  add<threads>(exports, "threads");
  add<instructionSet>(exports, "instructionSet");
  add<instructionSets>(exports, "instructionSets");
  add<cudaReason>(exports, "cudaReason");
  add<runOperation>(exports, "run");
  add<operationNames>(exports, "operationNames");
  return exports;
}

}  // namespace
}  // namespace rvx::addon

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  return rvx::addon::start(env, exports);
}
NODE_API_MODULE(renvox, init)
