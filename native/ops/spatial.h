// Operations that move voxels: resampling, window, blur, crop, pad, flip, concatenation.
#pragma once
#include "ops/operation.h"

namespace rvx {

using SpatialOperations = OperationList<>;

}  // namespace rvx
