#include "addon/registry.h"

#include <map>
#include <string>
#include <type_traits>

#include "addon/arguments.h"
#include "addon/handles.h"
#include "ops/ops.h"

namespace rvx::addon {
namespace {

// Fills an operation's fields from the arguments of a call, in the order of their declaration, and notes which tensors it reads, changes
// and makes. Arguments and not an object, of which each field would be looked up by a name that is made a JS string first. Its functions
// stand outside of the class so that they are not copied into every operation's reading.
class FieldReader {
 public:
  FieldReader(const Napi::CallbackInfo& info, size_t first, Job& job, std::vector<Output*>& outputs)
      : env_(info.Env()), info_(info), next_(first), job_(job), outputs_(outputs) {}

  void operator()(Input& field, const char* name);
  void operator()(OptionalInput& field, const char* name);
  void operator()(InOut& field, const char* name);
  void operator()(std::vector<Input>& field, const char* name);
  void operator()(std::vector<InOut>& field, const char* name);
  void operator()(Output& field, const char*);
  void operator()(bool& field, const char* name);
  void operator()(int64_t& field, const char* name);
  void operator()(double& field, const char* name);
  void operator()(std::string& field, const char* name);
  void operator()(std::vector<double>& field, const char* name);
  template <class T, size_t N>
  void operator()(std::array<T, N>& field, const char* name);

 private:
  // The next field's value; of one that is absent, an empty value.
  Napi::Value given();
  Napi::Value needed(const char* name);
  template <class T>
  void list(std::vector<T>& field, const char* name, std::vector<Tensor>& tensors);

  Napi::Env env_;
  const Napi::CallbackInfo& info_;
  size_t next_;
  Job& job_;
  std::vector<Output*>& outputs_;
};

Napi::Value FieldReader::given() {
  Napi::Value v = info_[next_++];
  return v.IsUndefined() || v.IsNull() ? Napi::Value() : v;
}

Napi::Value FieldReader::needed(const char* name) {
  Napi::Value v = given();
  if (v.IsEmpty())
    throw Error("InvalidArgument", std::string("Expected a tensor for parameter ") + name);
  return v;
}

void FieldReader::operator()(Input& field, const char* name) {
  field.tensor = tensorOf(env_, needed(name));
  job_.inputs.push_back(field.tensor);
}

void FieldReader::operator()(OptionalInput& field, const char* name) {
  Napi::Value v = given();
  if (v.IsEmpty()) return;
  field.tensor = tensorOf(env_, v);
  job_.inputs.push_back(field.tensor);
}

void FieldReader::operator()(InOut& field, const char* name) {
  field.tensor = tensorOf(env_, needed(name));
  job_.inouts.push_back(field.tensor);
}

void FieldReader::operator()(std::vector<Input>& field, const char* name) {
  list(field, name, job_.inputs);
}

void FieldReader::operator()(std::vector<InOut>& field, const char* name) {
  list(field, name, job_.inouts);
}

void FieldReader::operator()(Output& field, const char*) { outputs_.push_back(&field); }

void FieldReader::operator()(bool& field, const char* name) {
  Napi::Value v = given();
  if (!v.IsEmpty()) field = v.ToBoolean().Value();
}

void FieldReader::operator()(int64_t& field, const char* name) {
  Napi::Value v = given();
  if (!v.IsEmpty()) field = integerOf(v, name);
}

void FieldReader::operator()(double& field, const char* name) {
  Napi::Value v = given();
  if (!v.IsEmpty()) field = numberOf(v, name);
}

void FieldReader::operator()(std::string& field, const char* name) {
  Napi::Value v = given();
  if (!v.IsEmpty()) field = textOf(v, name);
}

void FieldReader::operator()(std::vector<double>& field, const char* name) {
  Napi::Value v = given();
  if (v.IsEmpty()) return;
  Napi::Array array = arrayOf(v, name);
  field.resize(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) field[i] = numberOf(array.Get(i), name);
}

template <class T, size_t N>
void FieldReader::operator()(std::array<T, N>& field, const char* name) {
  Napi::Value v = given();
  if (v.IsEmpty()) return;
  Napi::Array array = arrayOf(v, name);
  if (array.Length() != N)
    throw Error("InvalidArgument",
                std::string("Expected ") + std::to_string(N) + " numbers for parameter " + name);
  for (size_t i = 0; i < N; ++i) {
    Napi::Value item = array.Get(static_cast<uint32_t>(i));
    if constexpr (std::is_integral_v<T>)
      field[i] = static_cast<T>(integerOf(item, name));
    else
      field[i] = static_cast<T>(numberOf(item, name));
  }
}

template <class T>
void FieldReader::list(std::vector<T>& field, const char* name, std::vector<Tensor>& tensors) {
  Napi::Value v = given();
  if (v.IsEmpty()) return;
  Napi::Array array = arrayOf(v, name);
  for (uint32_t i = 0; i < array.Length(); ++i) {
    T item;
    item.tensor = tensorOf(env_, array.Get(i));
    tensors.push_back(item.tensor);
    field.push_back(item);
  }
}

void requireOneDevice(const Device& device, const Job& job, const char* name) {
  for (const auto* tensors : {&job.inputs, &job.inouts})
    for (const Tensor& t : *tensors)
      if (t.buffer->device.get() != &device)
        throw Error("DeviceMismatch",
                    std::string("Tensors of ") + name + " live on different devices");
}

// Makes the wanted outputs, queues the job and gives the outputs as an array, null where one is not wanted.
Napi::Value submit(Napi::Env env, Device& device, const std::vector<Output*>& outputs, Job job) {
  for (Output* o : outputs)
    if (o->wanted) {
      o->tensor = device.makeTensor(o->shape, o->dtype);
      job.outputs.push_back(o->tensor);
    }
  Napi::Array result = Napi::Array::New(env, outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i)
    if (outputs[i]->tensor)
      result.Set(static_cast<uint32_t>(i), wrapTensor(env, outputs[i]->tensor));
    else
      result.Set(static_cast<uint32_t>(i), env.Null());
  device.enqueue(std::move(job));
  return result;
}

template <class Op>
Napi::Value enqueue(const Napi::CallbackInfo& info, size_t first, Device& device, Job job) {
  auto op = std::make_shared<Op>();
  std::vector<Output*> outputs;
  outputs.reserve(4);
  job.inputs.reserve(8);
  FieldReader reader(info, first, job, outputs);
  op->fields(reader);
  requireOneDevice(device, job, Op::name);
  op->infer();
  job.name = Op::name;
  Device* target = &device;  // outlives its jobs
  job.run = [op, target] {
    Context cx{*target};
    if (target->kind == DeviceKind::cuda)
      cuda::run(*op, cx);
    else
      cpu::run(*op, cx);
  };
  return submit(info.Env(), device, outputs, std::move(job));
}

// The names of what FieldReader reads.
struct FieldNames {
  std::vector<const char*> names;
  template <class Field>
  void operator()(const Field&, const char* name) {
    if constexpr (!std::is_same_v<Field, Output>) names.push_back(name);
  }
};

template <class Op>
std::vector<const char*> fieldsOf() {
  Op op;
  FieldNames lister;
  op.fields(lister);
  return lister.names;
}

struct Entry {
  Napi::Value (*enqueue)(const Napi::CallbackInfo&, size_t, Device&, Job);
  std::vector<const char*> (*fields)();
};

template <class... Ops>
std::map<std::string, Entry> makeTable(OperationList<Ops...>) {
  return {{Ops::name, {&enqueue<Ops>, &fieldsOf<Ops>}}...};
}

const std::map<std::string, Entry>& table() {
  static const auto* entries = new std::map<std::string, Entry>(makeTable(AllOperations{}));
  return *entries;
}

}  // namespace

void readConditions(const Napi::Value& value, const Device& device, Job& job) {
  if (value.IsUndefined() || value.IsNull()) return;
  Napi::Env env = value.Env();
  Napi::Object options = objectOf(value, "options");
  Napi::Array tokens = arrayOf(options.Get("tokens"), "tokens");
  for (uint32_t i = 0; i < tokens.Length(); ++i)
    job.tokens.push_back(unwrap<TokenHandle>(env, tokens.Get(i)).token);
  Napi::Array guards = arrayOf(options.Get("guards"), "guards");
  for (uint32_t i = 0; i < guards.Length(); ++i) {
    Napi::Object item = objectOf(guards.Get(i), "guards");
    Guard guard;
    guard.counts = tensorOf(env, item.Get("counts"));
    guard.index = integerOf(item.Get("index"), "index");
    require(guard.counts.buffer->device.get() == &device, "DeviceMismatch",
            "The counts of a condition live on another device");
    require(guard.counts.dtype == DType::i32 && guard.index >= 0 &&
                guard.index < guard.counts.shape.size(),
            "InvalidArgument",
            "Expected an i32 tensor and an index inside it for the counts of a condition but "
            "received index " +
                std::to_string(guard.index) + " of " + guard.counts.shape.text() + " of type " +
                nameOf(guard.counts.dtype));
    job.guards.push_back(std::move(guard));
  }
}

Napi::Value runOperation(const Napi::CallbackInfo& info) {
  Napi::Env env = info.Env();
  Device& device = deviceOf(env, info[0]);
  const std::string name = textOf(info[1], "name");
  auto entry = table().find(name);
  if (entry == table().end()) throw Error("InternalError", "There is no operation " + name);
  Job job;
  readConditions(info[2], device, job);
  return entry->second.enqueue(info, 3, device, std::move(job));
}

Napi::Value operations(const Napi::CallbackInfo& info) {
  Napi::Object all = Napi::Object::New(info.Env());
  for (const auto& [name, entry] : table()) {
    Napi::Array fields = Napi::Array::New(info.Env());
    for (const char* field : entry.fields()) fields.Set(fields.Length(), field);
    all.Set(name, fields);
  }
  return all;
}

}  // namespace rvx::addon
