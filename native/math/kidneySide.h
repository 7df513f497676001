// Which side of the body a component of a kidney mask belongs to; cpu/kidneySides.cpp tells the rule.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

constexpr uint8_t kLeftSide = 1, kRightSide = 2;

// Mean w of the body's voxels, or the middle of the grid.
RVX_PORTABLE inline double bodyMidline(int64_t voxels, int64_t sum, int64_t width) {
  return voxels > 0 ? static_cast<double>(sum) / static_cast<double>(voxels)
                    : static_cast<double>(width - 1) / 2;
}

// First w of the left half: the first above the midline.
RVX_PORTABLE inline int64_t firstOfLeft(double midline, int64_t width) {
  if (midline < 0) return 0;
  const int64_t first = static_cast<int64_t>(midline) + 1;
  return first < width ? first : width;
}

// What is known of a component: its voxels, those in the left half, the sum of w.
struct KidneyPosition {
  int64_t voxels, left, sum;
};

// How the two parts of a component, left and right of the midline, are labelled.
struct alignas(2) KidneyVerdict {
  uint8_t left = 0, right = 0;
};

RVX_PORTABLE inline KidneyVerdict kidneyVerdict(const KidneyPosition& p, double midline,
                                                double splitShare) {
  const auto n = static_cast<double>(p.voxels), left = static_cast<double>(p.left);
  KidneyVerdict verdict;
  if (left > splitShare * n && n - left > splitShare * n) {
    verdict.left = kLeftSide;
    verdict.right = kRightSide;
  } else {
    verdict.left = verdict.right =
        static_cast<double>(p.sum) > midline * n ? kLeftSide : kRightSide;
  }
  return verdict;
}

// Voxels that a component gives to a side.
RVX_PORTABLE inline int64_t voxelsOfSide(const KidneyPosition& p, const KidneyVerdict& verdict,
                                         uint8_t side) {
  return (verdict.left == side ? p.left : 0) + (verdict.right == side ? p.voxels - p.left : 0);
}

// Whether that is too little, where the largest part of the side has `most`.
RVX_PORTABLE inline bool isCrumb(int64_t voxels, int64_t minimum, double share, int64_t most) {
  return voxels < minimum || static_cast<double>(voxels) < share * static_cast<double>(most);
}

}  // namespace rvx
