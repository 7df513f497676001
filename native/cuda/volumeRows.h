// One thread for each value of a volume, where the value's place matters: a warp takes 32 neighbours of a row of values, a block
// eight rows, so that accesses are whole sectors and a block's rows lie next to each other.
#pragma once
#include "cuda/launch.h"

namespace rvx::cuda {

constexpr int kRowThreads = 256;
constexpr int kRowsOfBlock = kRowThreads / 32;

struct VolumeRows {
  int64_t rows = 0;
  int rowsOfPlane = 1, length = 0, channels = 1;
  unsigned tiles = 0;

  VolumeRows(const Int3& size, int64_t c) : rows(size[0] * size[1]) {
    require(rows <= INT32_MAX && size[2] * c <= INT32_MAX, "ShapeMismatch",
            "A volume of " + std::to_string(size[0]) + "x" + std::to_string(size[1]) + "x" +
                std::to_string(size[2]) + " voxels is too large for one launch");
    rowsOfPlane = static_cast<int>(size[1]);
    length = static_cast<int>(size[2] * c);
    channels = static_cast<int>(c);
    tiles = static_cast<unsigned>((length + 31) / 32);
  }
  unsigned blocks() const { return blocksFor((rows + kRowsOfBlock - 1) / kRowsOfBlock * tiles, 1); }
};

// This thread's value: voxel (d, h, w), channel k, at `index` of the volume's values.
struct RowPlace {
  int d, h, w, k;
  int64_t index;
  bool inside;
};
RVX_DEVICE RowPlace placeIn(const VolumeRows& v) {
  const unsigned tile = blockIdx.x % v.tiles, group = blockIdx.x / v.tiles;
  const int64_t row = int64_t{group} * kRowsOfBlock + threadIdx.x / 32;
  const int at = static_cast<int>(tile * 32 + threadIdx.x % 32);
  RowPlace p{};
  p.inside = row < v.rows && at < v.length;
  p.d = static_cast<int>(row) / v.rowsOfPlane;
  p.h = static_cast<int>(row) % v.rowsOfPlane;
  p.w = v.channels == 1 ? at : at / v.channels;
  p.k = v.channels == 1 ? 0 : at % v.channels;
  p.index = row * v.length + at;
  return p;
}

}  // namespace rvx::cuda
