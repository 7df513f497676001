// Surfaces of two masks in their joint bounding box, and the exact distances from one to the other:
// what both forms of surfaceDistances stand on.
#pragma once
#include <algorithm>
#include <vector>

#include "math/surfaceElements.h"
#include "ops/ops.h"

namespace rvx::cpu {

// Part of a volume.
struct Box {
  int64_t low[3], size[3];
};

struct JointMasks {
  int64_t voxelsA = 0, voxelsB = 0, both = 0;
  Box box{};  // empty where both are
};
JointMasks jointMasks(const SurfaceDistances& op);

// The places of one mask's surface in raster order: its surface voxels, on the grid of the box; or the
// cells that hold an element, on a grid with one more along each axis.
class Surface {
 public:
  Surface(const Input& map, const SurfaceDistances& op, const Box& box, Context& cx);

  const Int3& size() const { return size_; }
  // Not 0 where the surface is: 1, or an element's code.
  const uint8_t* row(int64_t row) const { return space_.data<uint8_t>() + row * size_[2]; }
  // How many places come before this row.
  int64_t before(int64_t row) const { return rowSpace_.data<int64_t>()[row]; }
  int64_t count() const { return before(size_[0] * size_[1]); }

 private:
  template <class T>
  void fill(const T* labels, const Int3& grid, const SurfaceDistances& op, const Box& box,
            Context& cx);

  Int3 size_;
  Workspace space_, rowSpace_;
};

// Distances in mm of each place of `from` to the nearest of `to`, in raster order.
void directedDistances(const Surface& from, const Surface& to, const Real3& spacing,
                       double* distances, Context& cx);

// The figures of one direction where the surface is of elements, at the places of the A-to-B figures of
// `summary`, or (side 1) one further.
void elementFigures(const Surface& from, const double* distances, const ElementAreas& areas,
                    const SurfaceDistances& op, int64_t side, double* summary, Context& cx);
// What of it does not depend on distances.
double elementArea(const Surface& surface, const ElementAreas& areas);

}  // namespace rvx::cpu
