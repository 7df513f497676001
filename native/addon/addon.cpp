// The addon: glue only. Every function here unwraps its arguments, enqueues, and settles promises.
#if defined(__unix__) || defined(__APPLE__)
#include <dlfcn.h>
#endif
#include <napi.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <limits>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/guarded.h"
#include "addon/handles.h"
#include "addon/registry.h"
#include "addon/simulator.h"
#include "core/isa.h"
#include "core/pool.h"
#include "core/stopwatch.h"
#include "cpu/isa/fma_peak.h"
#include "ops/ops.h"

namespace rvx::addon {
namespace {

// A simulated GPU is none that programs should find by themselves.
std::string cudaUnavailable() {
  return cuda::simulator() ? "this is a test build: its device cuda-sim runs the kernels on the CPU"
                           : cuda::unavailableReason();
}

Napi::Value createDevice(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  const std::string kind = textOf(info[0], "kind");
  require(kind == "cpu" || kind == "cuda" || kind == cuda::deviceName(), "InvalidArgument",
          "Expected cpu or cuda for parameter kind but received " + kind);
  if (kind == "cuda" && kind != cuda::deviceName())
    throw Error("DeviceUnavailable", "No CUDA device: " + cudaUnavailable());
  auto device = kind == "cpu" ? makeCpuDevice() : cuda::makeDevice();
  Environment::of(env).add(device);
  auto handle = std::make_unique<DeviceHandle>();
  handle->device = std::move(device);
  return wrap<DeviceHandle>(env, std::move(handle), [](napi_env e, DeviceHandle& h) {
    // A device that was forgotten: its queue is stopped when the garbage collector finds it.
    if (!h.device->closed()) Environment::of(Napi::Env(e)).close(h.device);
  });
}

Napi::Value closeDevice(const Napi::CallbackInfo& info) {
  DeviceHandle& handle = unwrap<DeviceHandle>(info.Env(), info[0]);
  if (!handle.device->closed()) Environment::of(info.Env()).close(handle.device);
  return info.Env().Undefined();
}

Napi::Value deviceInfo(const Napi::CallbackInfo& info) {
  Napi::Object o = Napi::Object::New(info.Env());
  const DeviceInfo d = deviceOf(info.Env(), info[0]).info();
  o.Set("name", d.name);
  o.Set("capability", d.capability);
  o.Set("multiprocessors", d.multiprocessors);
  o.Set("memory", static_cast<double>(d.memory));
  return o;
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
  const double bytes = numberOf(info[1], "bytes");
  require(bytes > 0, "InvalidArgument", "Expected a positive number for parameter bytes");
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

// upload(device, typedArray, shape, dtype, borrow, conditions?): with borrow the array must not change while
// the tensor lives: on the CPU it is the tensor's memory, elsewhere the queue thread reads it. Without, it is
// copied now.
Napi::Value upload(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  const Bytes from = bytesOf(info[1], "data");
  Tensor tensor =
      device.makeTensor(shapeOf(info[2], "shape"), dtypeFromName(textOf(info[3], "dtype")));
  require(from.size == tensor.bytes(), "ShapeMismatch",
          "Expected " + std::to_string(tensor.bytes()) + " bytes but received " +
              std::to_string(from.size));
  Job job;
  job.name = "upload";
  job.outputs.push_back(tensor);
  readConditions(info[5], device, job);
  std::shared_ptr<const char> source;
  const bool borrow = info[4].ToBoolean().Value();
  Environment& environment = Environment::of(env);
  if (borrow && device.readsHostMemory() && from.size > 0) {
    tensor.buffer->lend(from.data, environment.borrow(objectOf(info[1], "data")));
  } else if (borrow) {
    const uint64_t pending = environment.expect(objectOf(info[1], "data"), nullptr);
    // Let go on the JS thread when the job is gone, run or not.
    const auto release = [mailbox = environment.mailbox(), pending](const char*) {
      mailbox->post([pending](Environment& e) { e.finish(pending, nullptr); });
    };
    source = std::shared_ptr<const char>(from.data, release);
  } else {
    const std::shared_ptr<char> copy(new char[from.size + 1], std::default_delete<char[]>());
    if (from.size > 0) std::memcpy(copy.get(), from.data, from.size);
    source = copy;
  }
  Device* target = &device;  // outlives its jobs
  job.run = [target, tensor, source = std::move(source)] {
    if (source) target->copyIn(tensor.buffer->data, source.get(), tensor.bytes());
    target->transfers.uploads++;
    target->transfers.uploadBytes += tensor.bytes();
  };
  Napi::Value result = wrapTensor(env, tensor);
  device.enqueue(std::move(job));
  return result;
}

// A view of the same memory with another shape of the same size.
Napi::Value reshape(const Napi::CallbackInfo& info) {
  Tensor view = tensorOf(info.Env(), info[0]);
  const Shape shape = shapeOf(info[1], "shape");
  require(shape.size() == view.shape.size(), "ShapeMismatch",
          "Cannot view " + view.shape.text() + " as " + shape.text());
  view.shape = shape;
  return wrapTensor(info.Env(), view);
}

// A promise, and the function that settles it from the queue thread. Keeps `held` until then.
struct Awaited {
  Napi::Value promise;
  std::function<void(const Error*)> done;
};

Awaited await(Napi::Env env, Napi::Object held) {
  napi_deferred deferred;
  napi_value promise;
  if (napi_create_promise(env, &deferred, &promise) != napi_ok) throw Napi::Error::New(env);
  Environment& environment = Environment::of(env);
  const uint64_t pending = environment.expect(held, deferred);
  auto done = [mailbox = environment.mailbox(), pending](const Error* error) {
    std::shared_ptr<Error> copy = error ? std::make_shared<Error>(*error) : nullptr;
    mailbox->post([pending, copy](Environment& e) { e.finish(pending, copy.get()); });
  };
  return {Napi::Value(env, promise), std::move(done)};
}

// Calls f(done) and, where that throws, settles the promise with its error.
template <class F>
Napi::Value settled(Napi::Env env, Napi::Object held, F&& f) {
  Awaited awaited = await(env, held);
  try {
    f(awaited.done);
  } catch (const Error& e) {
    awaited.done(&e);
  } catch (const std::exception& e) {
    const Error error("InternalError", e.what());
    awaited.done(&error);
  }
  return awaited.promise;
}

// download(device, handles[], arrays[]) -> promise<undefined>: fills the arrays; one download.
Napi::Value download(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  Napi::Array handles = arrayOf(info[1], "tensors"), arrays = arrayOf(info[2], "into");
  require(handles.Length() == arrays.Length(), "InvalidArgument",
          "Expected as many arrays as tensors");
  std::vector<Tensor> tensors;
  std::vector<void*> hosts;
  // The device too: it must not be collected while it is awaited.
  Napi::Array held = Napi::Array::New(env);
  held.Set(0u, info[0]);
  for (uint32_t i = 0; i < handles.Length(); ++i) {
    tensors.push_back(tensorOf(env, handles.Get(i)));
    const Tensor& tensor = tensors.back();
    require(tensor.buffer->device.get() == &device, "DeviceMismatch",
            "Tensors that are read together live on different devices");
    Napi::Value array = arrays.Get(i);
    const Bytes into = bytesOf(array, "into");
    require(into.size == tensor.bytes(), "InvalidArgument",
            "Expected an array of " + std::to_string(tensor.bytes()) + " bytes but received " +
                std::to_string(into.size));
    hosts.push_back(into.data);
    held.Set(i + 1, array);
  }
  return settled(env, held,
                 [&](auto& done) { device.read(std::move(tensors), std::move(hosts), done); });
}

Stopwatch& stopwatchOf(Device& device) {
  auto* stopwatch = dynamic_cast<Stopwatch*>(&device);
  require(stopwatch != nullptr, "InvalidArgument", "This device has no clock of its own");
  return *stopwatch;
}

// mark(device): notes the moment when all that is enqueued now is done.
Napi::Value mark(const Napi::CallbackInfo& info) {
  Device& device = deviceOf(info.Env(), info[0]);
  Job job;
  job.name = "mark";
  job.run = [stopwatch = &stopwatchOf(device)] { stopwatch->mark(); };
  device.enqueue(std::move(job));
  return info.Env().Undefined();
}

// takeMarks(device) -> milliseconds from the first mark to each, after a drain; forgets them.
Napi::Value takeMarks(const Napi::CallbackInfo& info) {
  const std::vector<double> times = stopwatchOf(deviceOf(info.Env(), info[0])).takeMarks();
  Napi::Array result = Napi::Array::New(info.Env(), times.size());
  for (size_t i = 0; i < times.size(); ++i) result.Set(static_cast<uint32_t>(i), times[i]);
  return result;
}

Napi::Value drain(const Napi::CallbackInfo& info) {
  Device& device = deviceOf(info.Env(), info[0]);
  Napi::Array held = Napi::Array::New(info.Env());
  held.Set(0u, info[0]);
  return settled(info.Env(), held, [&](auto& done) { device.drain(done); });
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

// cancel(token, {value}): the box's value becomes the cause of the errors.
Napi::Value cancel(const Napi::CallbackInfo& info) {
  TokenHandle& handle = unwrap<TokenHandle>(info.Env(), info[0]);
  handle.token->cancel(causeOf(info.Env(), objectOf(info[1], "reason")));
  return info.Env().Undefined();
}

Napi::Value liveBytes(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(liveBytesOfProcess()));
}

Napi::Value threads(const Napi::CallbackInfo& info) {
  if (!info[0].IsUndefined()) {
    const int64_t count = integerOf(info[0], "count");
    require(count >= 1 && count <= 256, "InvalidArgument",
            "Expected 1 to 256 for parameter count but received " + std::to_string(count));
    setPoolThreads(static_cast<int>(count));
  }
  return Napi::Number::New(info.Env(), poolThreads());
}

Napi::Value instructionSet(const Napi::CallbackInfo& info) {
  if (!info[0].IsUndefined()) {
    const std::string wanted = textOf(info[0], "wanted");
    bool set = false;
    for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512}) set |= wanted == nameOf(i) && setIsa(i);
    require(set, "DeviceUnavailable", "This CPU does not have the instruction set " + wanted);
  }
  return Napi::String::New(info.Env(), nameOf(isa()));
}

Napi::Value instructionSets(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512})
    if (isaSupported(i)) names.Set(names.Length(), nameOf(i));
  return names;
}

// fmaPeak(seconds) -> {flops, seconds}: all threads of the pool multiply and add on
// registers alone, at the instruction set of the moment, for about so long.
Napi::Value fmaPeak(const Napi::CallbackInfo& info) {
  const double wanted = info[0].As<Napi::Number>().DoubleValue();
  const double seconds = wanted > 0 && wanted < 10 ? wanted : 0.05;
  std::atomic<int64_t> operations{0};
  using Clock = std::chrono::steady_clock;
  const auto begin = Clock::now();
  parallelFor(poolThreads(), [&](int64_t) {
    do operations += static_cast<int64_t>(RVX_ISA_CALL(multiplyAdd)(20000));
    while (std::chrono::duration<double>(Clock::now() - begin).count() < seconds);
  });
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("flops", static_cast<double>(operations));
  result.Set("seconds", std::chrono::duration<double>(Clock::now() - begin).count());
  return result;
}

Napi::Value cudaReason(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), cudaUnavailable());
}

// Node unloads an addon when the last worker that loaded it ends; the pool's threads outlive all
// workers, so this one must stay.
void stayLoaded() {
#if defined(__unix__) || defined(__APPLE__)
  Dl_info self;
  if (dladdr(reinterpret_cast<void*>(&stayLoaded), &self) && self.dli_fname)
    dlopen(self.dli_fname, RTLD_NOW | RTLD_NODELETE);
#endif
}

template <Napi::Value (*F)(const Napi::CallbackInfo&)>
void add(Napi::Object exports, const char* name) {
  exports.Set(name, Napi::Function::New(exports.Env(), guarded<F>, name));
}

Napi::Object start(Napi::Env env, Napi::Object exports) {
  stayLoaded();
  env.SetInstanceData(new Environment(env));
  add<createDevice>(exports, "createDevice");
  add<closeDevice>(exports, "closeDevice");
  add<deviceInfo>(exports, "deviceInfo");
  add<memory>(exports, "memory");
  add<setMemoryLimit>(exports, "setMemoryLimit");
  add<resetPeak>(exports, "resetPeak");
  add<releaseCache>(exports, "releaseCache");
  add<transfers>(exports, "transfers");
  add<upload>(exports, "upload");
  add<reshape>(exports, "reshape");
  add<download>(exports, "download");
  add<drain>(exports, "drain");
  add<mark>(exports, "mark");
  add<takeMarks>(exports, "takeMarks");
  add<dispose>(exports, "dispose");
  add<createToken>(exports, "createToken");
  add<cancel>(exports, "cancel");
  add<liveBytes>(exports, "liveBytes");
  add<threads>(exports, "threads");
  add<instructionSet>(exports, "instructionSet");
  add<instructionSets>(exports, "instructionSets");
  add<fmaPeak>(exports, "fmaPeak");
  add<cudaReason>(exports, "cudaReason");
  add<runOperation>(exports, "run");
  add<operations>(exports, "operations");
  if (cuda::simulator()) exports.Set("simulator", simulatorObject(env));
  return exports;
}

}  // namespace
}  // namespace rvx::addon

static Napi::Object init(Napi::Env env, Napi::Object exports) {
  return rvx::addon::start(env, exports);
}
NODE_API_MODULE(renvox, init)
