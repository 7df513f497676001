// Rows of a component table (native/ops/labels.h): size, box and first voxel, gathered run by run.
#pragma once
#include <algorithm>
#include <cstdint>

namespace rvx::cpu {

struct TableRow {
  int32_t voxels = 0;
  int32_t low[3] = {INT32_MAX, INT32_MAX, INT32_MAX};
  int32_t high[3] = {-1, -1, -1};
  int32_t first = INT32_MAX;

  // Adds the voxels w in [begin, end) of row (d, h) in a volume of rows of width W and H rows a
  // plane.
  void add(int64_t d, int64_t h, int64_t begin, int64_t end, int64_t H, int64_t W) {
    voxels += static_cast<int32_t>(end - begin);
    const auto z = static_cast<int32_t>(d), y = static_cast<int32_t>(h);
    low[0] = std::min(low[0], z);
    low[1] = std::min(low[1], y);
    low[2] = std::min(low[2], static_cast<int32_t>(begin));
    high[0] = std::max(high[0], z);
    high[1] = std::max(high[1], y);
    high[2] = std::max(high[2], static_cast<int32_t>(end - 1));
    first = std::min(first, static_cast<int32_t>((d * H + h) * W + begin));
  }
  // Integers: the order of merging does not matter.
  void merge(const TableRow& o) {
    voxels += o.voxels;
    for (int i = 0; i < 3; ++i) {
      low[i] = std::min(low[i], o.low[i]);
      high[i] = std::max(high[i], o.high[i]);
    }
    first = std::min(first, o.first);
  }
  void write(int32_t* out) const {
    out[0] = voxels;
    for (int i = 0; i < 3; ++i) {
      out[1 + i] = voxels ? low[i] : 0;
      out[4 + i] = high[i];
    }
    out[7] = voxels ? first : -1;
  }
};

}  // namespace rvx::cpu
