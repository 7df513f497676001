// The one list of operations that both backends implement. See operation.h for what each is made
// of.
#pragma once
#include "ops/arithmetic.h"
#include "ops/backend.h"
#include "ops/cascade.h"
#include "ops/convolution.h"
#include "ops/drawing.h"
#include "ops/elementwise.h"
#include "ops/labels.h"
#include "ops/network.h"
#include "ops/spatial.h"

namespace rvx {

using AllOperations = Concatenate<ElementwiseOperations, ArithmeticOperations,
                                  ConvolutionOperations, NetworkOperations, SpatialOperations,
                                  LabelOperations, DrawingOperations, CascadeOperations>::type;

}  // namespace rvx
