// Norms, pooling, linear layers, losses and optimisers of the networks.
#pragma once
#include "ops/norms.h"
#include "ops/operation.h"

namespace rvx {

using NetworkOperations = Concatenate<NormOperations>::type;

}  // namespace rvx
