// What the class operations share: scores of few classes in registers, rows of many classes by warps, labels.
//
// Few classes (2 to kFewClasses): a thread takes four neighbouring voxels, C packets of 16 bytes whatever C is, and all their scores
// stay in its registers; loops over classes are unrolled and have the CPU's order, and so its bits. Any other number of classes: a
// warp takes a voxel, lane l the classes l, l + 32, ..; a row is read again from the first cache rather than kept.
#pragma once
#include <algorithm>
#include <limits>
#include <vector>

#include "cuda/launch.h"
#include "cuda/packet.h"
#include "cuda/reduce.h"
#include "math/exponential.h"
#include "ops/classes.h"

namespace rvx::cuda {

constexpr int kClassThreads = 256;
constexpr int kClassWarps = kClassThreads / 32;
constexpr int kGroup = 4;
constexpr int kFewClasses = 8;

// Calls body(std::integral_constant<int, C>) where the count has a kernel of its own.
template <class Body>
bool withFewClasses(int64_t classes, Body&& body) {
  switch (classes) {
    case 2:
      return body(std::integral_constant<int, 2>{}), true;
    case 3:
      return body(std::integral_constant<int, 3>{}), true;
    case 4:
      return body(std::integral_constant<int, 4>{}), true;
    case 5:
      return body(std::integral_constant<int, 5>{}), true;
    case 6:
      return body(std::integral_constant<int, 6>{}), true;
    case 7:
      return body(std::integral_constant<int, 7>{}), true;
    case 8:
      return body(std::integral_constant<int, 8>{}), true;
    default:
      return false;
  }
}

inline int64_t groupsOf(int64_t voxels) { return (voxels + kGroup - 1) / kGroup; }

// Scores of the voxels 4 group .. 4 group + 3: voxel v's class c is s[v * C + c]. Zeros beyond the last voxel.
template <int C>
RVX_DEVICE void ldGroup(const float* x, int64_t group, int64_t voxels, float (&s)[kGroup * C]) {
  const float* p = x + group * (kGroup * C);
  if ((group + 1) * kGroup <= voxels) {
    RVX_UNROLL
    for (int i = 0; i < C; ++i) {
      const auto four = ldPacket<4>(p + 4 * i);
      RVX_UNROLL
      for (int j = 0; j < 4; ++j) s[4 * i + j] = four.value[j];
    }
  } else {
    const auto left = static_cast<int>(voxels - group * kGroup) * C;
    RVX_UNROLL
    for (int i = 0; i < kGroup * C; ++i) s[i] = i < left ? ld(p + i) : 0.0f;
  }
}
template <int C>
RVX_DEVICE void stGroup(const float (&s)[kGroup * C], int64_t group, int64_t voxels, float* y) {
  float* p = y + group * (kGroup * C);
  if ((group + 1) * kGroup <= voxels) {
    RVX_UNROLL
    for (int i = 0; i < C; ++i)
      stPacket(p + 4 * i, Packet<float, 4>{{s[4 * i], s[4 * i + 1], s[4 * i + 2], s[4 * i + 3]}});
  } else {
    const auto left = static_cast<int>(voxels - group * kGroup) * C;
    RVX_UNROLL
    for (int i = 0; i < kGroup * C; ++i)
      if (i < left) st(p + i, s[i]);
  }
}

struct ClassSums {
  float largest, total;
};

// The C scores become exp(score - largest), whose sum is `total`.
template <int C>
RVX_DEVICE ClassSums exponentials(float* s) {
  float largest = s[0], total = 0;
  RVX_UNROLL
  for (int c = 1; c < C; ++c) largest = s[c] > largest ? s[c] : largest;
  RVX_UNROLL
  for (int c = 0; c < C; ++c) {
    s[c] = exponential(s[c] - largest);
    total += s[c];
  }
  return {largest, total};
}
template <int C>
RVX_DEVICE void probabilities(float* s) {
  const float share = 1.0f / exponentials<C>(s).total;
  RVX_UNROLL
  for (int c = 0; c < C; ++c) s[c] *= share;
}

// The same figures of one voxel's row of any length, by all lanes of a warp.
RVX_DEVICE ClassSums rowSums(const float* x, int classes) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  float largest = -std::numeric_limits<float>::infinity(), total = 0;
  for (int c = lane; c < classes; c += 32) {
    const float score = ld(x + c);
    largest = score > largest ? score : largest;
  }
  largest = reduceWarp<Maximum>(largest);
  for (int c = lane; c < classes; c += 32) total += exponential(ld(x + c) - largest);
  return {largest, reduceWarp<Plus>(total)};
}

// A target as kernels see it. Labels that are no class are noted in `range` (least, most; zeros before) where it is given.
struct Labels {
  const void* data;
  bool wide;  // i32, else u8
  bool ignoring;
  int32_t ignore, classes;
  int32_t* range;
};
constexpr int32_t kIgnored = -1;

inline Labels labelsOf(const Input& target, int64_t classes, int64_t ignoreIndex, int32_t* range) {
  const auto ignore = static_cast<int32_t>(ignoreIndex);
  return {target.data<void>(),           target.dtype() == DType::i32,
          ignoreIndex == ignore,         ignore,
          static_cast<int32_t>(classes), range};
}

RVX_DEVICE int32_t counted(const Labels& labels, int32_t label) {
  if (labels.ignoring && label == labels.ignore) return kIgnored;
  if (labels.range && (label < 0 || label >= labels.classes)) {
    if (label < 0)
      atomicMin(labels.range, label);
    else
      atomicMax(labels.range + 1, label);
  }
  return label;
}
RVX_DEVICE int32_t ldLabel(const Labels& labels, int64_t voxel) {
  return counted(labels, labels.wide ? ld(static_cast<const int32_t*>(labels.data) + voxel)
                                     : ld(static_cast<const uint8_t*>(labels.data) + voxel));
}
// Of the voxels 4 group ..; kIgnored where they are not among from .. to - 1.
RVX_DEVICE void ldLabels(const Labels& labels, int64_t group, int64_t from, int64_t to,
                         int32_t (&label)[kGroup]) {
  const int64_t at = group * kGroup;
  if (at >= from && at + kGroup <= to) {
    if (labels.wide) {
      const auto four = ldPacket<4>(static_cast<const int32_t*>(labels.data) + at);
      RVX_UNROLL
      for (int v = 0; v < kGroup; ++v) label[v] = counted(labels, four.value[v]);
    } else {
      const auto four = ldPacket<4>(static_cast<const uint8_t*>(labels.data) + at);
      RVX_UNROLL
      for (int v = 0; v < kGroup; ++v) label[v] = counted(labels, four.value[v]);
    }
    return;
  }
  RVX_UNROLL
  for (int v = 0; v < kGroup; ++v)
    label[v] = at + v >= from && at + v < to ? ldLabel(labels, at + v) : kIgnored;
}

// Memory for the labels that are no class. The forward losses look at it; their gradients run on the same target and only if the
// loss did not fail.
class LabelRange {
 public:
  explicit LabelRange(Context& cx) : cx_(cx), memory_(cx, 2 * sizeof(int32_t)) {
    cx.device.fillZero(data(), 2 * sizeof(int32_t));
  }
  int32_t* data() const { return memory_.data<int32_t>(); }
  // Waits for the GPU: an error must stop what is queued behind this operation.
  void check(int64_t classes) const {
    int32_t range[2];
    cx_.device.copyOut(range, data(), sizeof range);
    cx_.device.transfers.readbacks++;
    cx_.device.transfers.readbackBytes += sizeof range;
    require(range[0] == 0 && range[1] == 0, "InvalidArgument",
            "Expected labels of 0 to " + std::to_string(classes - 1) +
                " for tensor target but received " +
                std::to_string(range[0] < 0 ? range[0] : range[1]));
  }

 private:
  Context& cx_;
  Workspace memory_;
};

// Blocks of a kernel that leaves partial sums, `each` voxels a block at least: a number that depends on the shape alone, and so
// do the bits. At most about 8 for each multiprocessor of the largest chip.
inline unsigned summingBlocks(int64_t voxels, int64_t each, int64_t most = 1024) {
  return blocksFor(std::min(std::max<int64_t>(voxels, 1), std::max<int64_t>(most, 1) * each), each);
}

}  // namespace rvx::cuda
