// What surfaceDistances needs for surfaces of elements (math/surfaceElements.h): their codes, areas, figures.
#pragma once
#include "cuda/surfaceBits.h"
#include "math/surfaceElements.h"
#include "ops/ops.h"

namespace rvx::cuda {

// codes[rank]: those of the cells of `bits`, of which `before` come before each word. All of one side.
void elementCodes(Context& cx, const uint32_t* mask, const SurfaceBox& box, const uint32_t* bits,
                  const int32_t* before, uint8_t* codes);

class ElementFigures {
 public:
  // Writes both areas to the summary. There is a voxel in one of the masks.
  ElementFigures(const SurfaceDistances& op, const Surfaces& surfaces, Context& cx);
  // Sum and maximum, percentiles and areas within tolerances of one direction. distances: in raster order.
  // asked: percentiles, then tolerances.
  void write(int side, const double* distances, const double* asked) const;

 private:
  ElementFigures(const SurfaceDistances& op, const Surfaces& surfaces, const ElementAreas& areas,
                 Context& cx);

  const SurfaceDistances& op_;
  const Surfaces& surfaces_;
  Context& cx_;
  DeviceTable<double> mm2_;  // by code
  DeviceTable<uint64_t> weights_;
  Workspace totals_;  // [2], of the weights
};

}  // namespace rvx::cuda
