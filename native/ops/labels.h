// Operations on label maps: components, distances, overlaps.
#pragma once
#include "ops/operation.h"

namespace rvx {

using LabelOperations = OperationList<>;

}  // namespace rvx
