#include "addon/registry.h"

#include <map>
#include <string>

#include "addon/handles.h"
#include "ops/ops.h"

namespace rvx::addon {
namespace {

// Fills an operation's fields from a JS object and notes which tensors it reads, changes and makes.
class FieldReader {
 public:
  FieldReader(Napi::Env env, Napi::Object fields, Job& job, std::vector<Output*>& outputs)
      : env_(env), fields_(fields), job_(job), outputs_(outputs) {}

  void operator()(Input& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (absent(v))
      throw Error("InvalidArgument", std::string("Expected a tensor for parameter ") + name);
    field.tensor = tensorOf(env_, v);
    job_.inputs.push_back(field.tensor);
  }
  void operator()(OptionalInput& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (absent(v)) return;
    field.tensor = tensorOf(env_, v);
    job_.inputs.push_back(field.tensor);
  }
  void operator()(InOut& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (absent(v))
      throw Error("InvalidArgument", std::string("Expected a tensor for parameter ") + name);
    field.tensor = tensorOf(env_, v);
    job_.inouts.push_back(field.tensor);
  }
  void operator()(std::vector<Input>& field, const char* name) { list(field, name, job_.inputs); }
  void operator()(std::vector<InOut>& field, const char* name) { list(field, name, job_.inouts); }
  void operator()(Output& field, const char*) { outputs_.push_back(&field); }

  void operator()(bool& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (!absent(v)) field = v.ToBoolean().Value();
  }
  void operator()(int64_t& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (!absent(v)) field = v.As<Napi::Number>().Int64Value();
  }
  void operator()(double& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (!absent(v)) field = v.As<Napi::Number>().DoubleValue();
  }
  void operator()(std::string& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (!absent(v)) field = v.As<Napi::String>().Utf8Value();
  }
  template <class T, size_t N>
  void operator()(std::array<T, N>& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (absent(v)) return;
    Napi::Array array = v.As<Napi::Array>();
    if (array.Length() != N)
      throw Error("InvalidArgument",
                  std::string("Expected ") + std::to_string(N) + " numbers for parameter " + name);
    for (size_t i = 0; i < N; ++i)
      field[i] =
          static_cast<T>(array.Get(static_cast<uint32_t>(i)).As<Napi::Number>().DoubleValue());
  }
  void operator()(std::vector<double>& field, const char* name) {
    Napi::Value v = fields_.Get(name);
    if (absent(v)) return;
    Napi::Array array = v.As<Napi::Array>();
    field.resize(array.Length());
    for (uint32_t i = 0; i < array.Length(); ++i)
      field[i] = array.Get(i).As<Napi::Number>().DoubleValue();
  }

 private:
  static bool absent(const Napi::Value& v) { return v.IsUndefined() || v.IsNull(); }
  template <class T>
  void list(std::vector<T>& field, const char* name, std::vector<Tensor>& tensors) {
    Napi::Value v = fields_.Get(name);
    if (absent(v)) return;
    Napi::Array array = v.As<Napi::Array>();
    for (uint32_t i = 0; i < array.Length(); ++i) {
      T item;
      item.tensor = tensorOf(env_, array.Get(i));
      tensors.push_back(item.tensor);
      field.push_back(item);
    }
  }

  Napi::Env env_;
  Napi::Object fields_;
  Job& job_;
  std::vector<Output*>& outputs_;
};

template <class Op>
Napi::Value enqueue(Napi::Env env, Device& device, Napi::Object fields, Job job) {
  auto op = std::make_shared<Op>();
  std::vector<Output*> outputs;
  FieldReader reader(env, fields, job, outputs);
  op->fields(reader);
  for (auto* tensors : {&job.inputs, &job.inouts})
    for (const Tensor& t : *tensors)
      if (t.buffer->device.get() != &device)
        throw Error("DeviceMismatch",
                    std::string("Tensors of ") + Op::name + " live on different devices");
  op->infer();
  for (Output* o : outputs)
    if (o->wanted) {
      o->tensor = device.makeTensor(o->shape, o->dtype);
      job.outputs.push_back(o->tensor);
    }
  job.name = Op::name;
  Device* target = &device;  // outlives its jobs
  job.run = [op, target] {
    Context cx{*target};
    if (target->kind == DeviceKind::cuda)
      cuda::run(*op, cx);
    else
      cpu::run(*op, cx);
  };
  Napi::Array result = Napi::Array::New(env, outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i]->tensor)
      result.Set(static_cast<uint32_t>(i), wrapTensor(env, outputs[i]->tensor));
    else
      result.Set(static_cast<uint32_t>(i), env.Null());
  device.enqueue(std::move(job));
  return result;
}

using Entry = Napi::Value (*)(Napi::Env, Device&, Napi::Object, Job);

template <class... Ops>
std::map<std::string, Entry> makeTable(OperationList<Ops...>) {
  return {{Ops::name, &enqueue<Ops>}...};
}

const std::map<std::string, Entry>& table() {
  static const auto* entries = new std::map<std::string, Entry>(makeTable(AllOperations{}));
  return *entries;
}

}  // namespace

Napi::Value runOperation(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  const std::string name = info[1].As<Napi::String>().Utf8Value();
  auto entry = table().find(name);
  if (entry == table().end()) throw Error("InternalError", "There is no operation " + name);
  Job job;
  if (info[3].IsObject()) {
    Napi::Object options = info[3].As<Napi::Object>();
    Napi::Value token = options.Get("token"), guard = options.Get("guard");
    if (!token.IsUndefined()) job.token = unwrap<TokenHandle>(env, token).token;
    if (!guard.IsUndefined()) {
      auto g = std::make_unique<Guard>();
      g->counts = tensorOf(env, guard);
      g->index = options.Get("index").As<Napi::Number>().Int64Value();
      require(g->counts.dtype == DType::i32 && g->index >= 0 && g->index < g->counts.shape.size(),
              "InvalidArgument",
              "Expected an i32 tensor and an index inside it for parameter guard");
      job.guard = std::move(g);
    }
  }
  return entry->second(env, device, info[2].As<Napi::Object>(), std::move(job));
}

Napi::Value operationNames(const Napi::CallbackInfo& info) {
  Napi::Array names = Napi::Array::New(info.Env());
  for (const auto& [name, entry] : table()) names.Set(names.Length(), name);
  return names;
}

}  // namespace rvx::addon
