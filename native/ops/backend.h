// What a backend is: for every operation of ops.h, run<Op>. Each lives in
// native/<backend>/<operation>.cpp (.cu) as a full specialisation; the addon's table of operations
// refers to all of them, so an addon with one missing does not load.
#pragma once
#include <string>

#include "ops/operation.h"

namespace rvx {

namespace cpu {
template <class Op>
void run(const Op& op, Context& cx);
}

namespace cuda {
template <class Op>
void run(const Op& op, Context& cx);

// The first CUDA device. Throws DeviceUnavailable with the reason.
std::shared_ptr<Device> makeDevice();
// Why there is no CUDA device; empty if there is one.
std::string unavailableReason();
}  // namespace cuda

}  // namespace rvx
