// The CUDA backend of a build without CUDA kernels: complete, and absent.
#include "ops/ops.h"

namespace rvx::cuda {

std::string unavailableReason() {
  return "this build of renvox has no CUDA kernels: it computes on the CPU";
}

std::shared_ptr<Device> makeDevice() {
  throw Error("DeviceUnavailable", "No CUDA device: " + unavailableReason());
}

std::string deviceName() { return "cuda"; }

Simulator* simulator() { return nullptr; }

template <class Op>
void run(const Op&, Context&) {
  throw Error("DeviceUnavailable", unavailableReason());
}

namespace {
template <class... Ops>
auto instantiate(OperationList<Ops...>) {
  return std::tuple{&run<Ops>...};
}
}  // namespace

// Refers to every run<Op>, so that all are compiled.
extern const void* const allOperations;
const void* const allOperations = [] {
  static const auto table = instantiate(AllOperations{});
  return static_cast<const void*>(&table);
}();

}  // namespace rvx::cuda
