// Norms, pooling, linear layers, losses and optimisers of the networks.
#pragma once
#include "ops/channels.h"
#include "ops/classes.h"
#include "ops/norms.h"
#include "ops/operation.h"
#include "ops/optimisers.h"
#include "ops/pooling.h"

namespace rvx {

using NetworkOperations = Concatenate<NormOperations, PoolingOperations, ChannelOperations,
                                      ClassOperations, OptimiserOperations>::type;

}  // namespace rvx
