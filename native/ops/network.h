// Norms, pooling, linear layers, losses and optimisers of the networks.
#pragma once
#include "ops/operation.h"

namespace rvx {

using NetworkOperations = OperationList<>;

}  // namespace rvx
