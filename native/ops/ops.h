// The one list of operations that both backends implement. See operation.h for what each is made of.
#pragma once
#include "ops/backend.h"
#include "ops/convolution.h"

namespace rvx {

using AllOperations = Concatenate<ConvolutionOperations>::type;

}  // namespace rvx
