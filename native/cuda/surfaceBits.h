// The surfaces of two masks in their joint box, as bits, and the place of each surface voxel, or element, in raster order.
#pragma once
#include <optional>

#include "cuda/maskBits.h"

namespace rvx::cuda {

// Part of a volume; along w it begins and ends with a word. Or the cells of such a part, one more along each axis: cell (d, h, w) has
// the voxel (d, h, w) on its high side.
struct SurfaceBox {
  int low[3] = {}, size[3] = {};  // d, h, word
  int grid[3] = {};               // size of the volume
  int width = 0;                  // voxels of a row of the box
  RVX_PORTABLE int rows() const { return size[0] * size[1]; }
  RVX_PORTABLE int64_t words() const { return int64_t{rows()} * size[2]; }
  int64_t voxels() const { return int64_t{rows()} * width; }
};

// Side 0 is mask a, side 1 mask b.
class Surfaces {
 public:
  Surfaces(const SurfaceDistances& op, Context& cx);

  // Known to the host.
  int32_t voxels(int side) const { return voxels_[side]; }
  int32_t voxelsOfBoth() const { return both_; }
  const SurfaceBox& box() const { return box_; }

  // No side's surface has more places.
  int64_t most() const { return most_; }

  // On the device. [2]: surface voxels, or elements, of each side.
  const int32_t* counts() const { return counts_.data<int32_t>(); }
  // Nothing of these exists where both masks are empty. [d, h, word]: the surface; how many of its places come before a word.
  const uint32_t* bits(int side) const { return bits_->data<uint32_t>() + side * box_.words(); }
  const int32_t* before(int side) const { return before_->data<int32_t>() + side * box_.words(); }
  // [h, word]: the columns that hold such a place in any plane.
  const uint32_t* columns(int side) const {
    return columns_->data<uint32_t>() + int64_t{side} * box_.size[1] * box_.size[2];
  }

  // Of elements only: their codes in raster order.
  const uint8_t* codes(int side) const { return codes_->data<uint8_t>() + side * most_; }

 private:
  void findBox(const uint32_t* masks, const BitRows& rows, Context& cx);
  void findSurfaces(const uint32_t* masks, const BitRows& rows, bool elements, Context& cx);

  int32_t voxels_[2] = {}, both_ = 0;
  int64_t most_ = 0;
  SurfaceBox box_;
  Workspace counts_;
  std::optional<Workspace> bits_, before_, columns_, codes_;
};

}  // namespace rvx::cuda
