// Channels lie in the lanes, where the tiles of gather_tile.h would leave most lanes empty for want of output channels; sums across lanes
// are made for four voxels together. Sixteen lanes are added in one order, whether a vector has 16, 8 or 4 of them.
#include "cpu/isa/pointwise.h"

#include <algorithm>

#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {
namespace {

constexpr int kParts = kPointwiseChannels / kLanes;
constexpr int kVoxels = 4;

typedef float Four __attribute__((vector_size(16)));
typedef float Eight __attribute__((vector_size(32)));
typedef int32_t Places __attribute__((vector_size(16)));

// Lane i and i + half of it, until four are left.
inline Four folded(const Vec* sum) {
  float lanes[kPointwiseChannels];
  std::memcpy(lanes, sum, sizeof lanes);
  Eight a, b;
  std::memcpy(&a, lanes, sizeof a);
  std::memcpy(&b, lanes + 8, sizeof b);
  a += b;
  Four c, d;
  std::memcpy(&c, &a, sizeof c);
  std::memcpy(&d, reinterpret_cast<const float*>(&a) + 4, sizeof d);
  return c + d;
}

// Of each its lanes' sum.
inline Four across(Four a, Four b, Four c, Four d) {
  const Places low{0, 4, 1, 5}, high{2, 6, 3, 7}, front{0, 1, 4, 5}, back{2, 3, 6, 7};
  const Four left = __builtin_shuffle(a, b, low) + __builtin_shuffle(a, b, high);
  const Four right = __builtin_shuffle(c, d, low) + __builtin_shuffle(c, d, high);
  return __builtin_shuffle(left, right, front) + __builtin_shuffle(left, right, back);
}

template <int R>
void run(const PointwiseRun& j) {
  const int64_t all = j.channels[0] + j.channels[1];
  const Vec slope = splat(j.slope);
  for (int64_t v = 0; v < j.voxels; v += kVoxels) {
    Four part[R][kVoxels];
#pragma GCC unroll 4
    for (int i = 0; i < kVoxels; ++i) {
      const int64_t voxel = std::min(v + i, j.voxels - 1);
      Vec sum[R][kParts] = {};
      const float* w = j.weight;
      for (int s = 0; s < 2; ++s) {
        const float* x = j.x[s] + voxel * j.channels[s];
        for (int64_t c = 0; c < j.channels[s]; c += kPointwiseChannels)
#pragma GCC unroll 4
          for (int p = 0; p < kParts; ++p, w += kLanes) {
            const int64_t at = c + p * kLanes;
            Vec value = load(x + at);
            if (j.scale[s]) {
              value = value * load(j.scale[s] + at) + load(j.shift[s] + at);
              value = select(value > Vec{}, value, value * slope);
            }
#pragma GCC unroll 4
            for (int r = 0; r < R; ++r) sum[r][p] = fma(value, load(w + r * all), sum[r][p]);
          }
      }
#pragma GCC unroll 4
      for (int r = 0; r < R; ++r) part[r][i] = folded(sum[r]);
    }
    float found[R][kVoxels];
#pragma GCC unroll 4
    for (int r = 0; r < R; ++r) {
      const Four sums = across(part[r][0], part[r][1], part[r][2], part[r][3]) + j.bias[r];
      std::memcpy(found[r], &sums, sizeof sums);
    }
    const auto count = static_cast<int>(std::min<int64_t>(kVoxels, j.voxels - v));
    float* y = j.y + v * R;
    for (int i = 0; i < count; ++i)
      for (int r = 0; r < R; ++r) *y++ = found[r][i];
  }
}

}  // namespace

void pointwise(const PointwiseRun& j) {
  if (j.results == 1) run<1>(j);
  if (j.results == 2) run<2>(j);
  if (j.results == 3) run<3>(j);
  if (j.results == 4) run<4>(j);
}

}  // namespace rvx::RVX_ISA
