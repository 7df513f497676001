// Corners of the convex hull of a plane's rows, each by its first and last voxel: Andrew's monotone chains (Information Processing
// Letters 9, 1979), exact in integers.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

struct Corner {
  int32_t h, w;
};

// Adds a corner to a chain that keeps turning to one side (side 1 or -1); h rises. Returns the chain's new length.
RVX_PORTABLE inline int64_t extendChain(Corner* chain, int64_t count, const Corner& next,
                                        int64_t side) {
  while (count >= 2) {
    const Corner &a = chain[count - 2], &b = chain[count - 1];
    const int64_t turn = int64_t{b.h - a.h} * (next.w - b.w) - int64_t{b.w - a.w} * (next.h - b.h);
    if (turn * side > 0) break;
    --count;
  }
  chain[count] = next;
  return count + 1;
}

}  // namespace rvx
