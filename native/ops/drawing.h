// Drawing of phantoms.
#pragma once
#include "ops/operation.h"

namespace rvx {

using DrawingOperations = OperationList<>;

}  // namespace rvx
