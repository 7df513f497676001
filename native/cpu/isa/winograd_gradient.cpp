// Transforms of winograd_gradient.h: a tile at a time in registers.
#include "cpu/isa/winograd_gradient.h"

#include "cpu/isa/winograd_points.h"

namespace rvx::RVX_ISA {
namespace {

// The points of one tile of which n columns are there. Whole: all channels and rows are, and n is 4.
template <bool Whole>
inline void loadTile(const WinogradGradientLoad& j, int64_t from, int64_t tile, int64_t n) {
  const auto value = [&](int h, int w) {
    const int64_t at = (tile * kWinogradTile + w) * j.stride + from;
    if constexpr (Whole) return load(j.rows[h] + at);
    Vec v{};
    if (w >= n || !j.rows[h]) return v;
    const int64_t channels = j.channels - from < kLanes ? j.channels - from : kLanes;
    std::memcpy(&v, j.rows[h] + at, sizeof(float) * size_t(channels));
    return v;
  };
  Vec half[6][4];
#pragma GCC unroll 4
  for (int w = 0; w < 4; ++w) {
    Vec y[4], t[6];
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) y[h] = value(h, w);
    gradientPoints(y, t);
#pragma GCC unroll 6
    for (int p = 0; p < 6; ++p) half[p][w] = t[p];
  }
  float* to = j.out + tile * j.tileStride + from;
#pragma GCC unroll 6
  for (int p = 0; p < 6; ++p) {
    Vec t[6];
    gradientPoints(half[p], t);
#pragma GCC unroll 6
    for (int w = 0; w < 6; ++w) store(to + (6 * p + w) * j.pointStride, t[w]);
  }
}

}  // namespace

void winogradGradientLoad(const WinogradGradientLoad& j) {
  const bool all = j.rows[0] && j.rows[1] && j.rows[2] && j.rows[3];
  for (int64_t from = 0; from < j.channels; from += kLanes)
    for (int64_t tile = 0; tile < j.tiles; ++tile) {
      const int64_t n = j.width - tile * kWinogradTile;
      if (all && n >= kWinogradTile && j.channels - from >= kLanes)
        loadTile<true>(j, from, tile, n);
      else
        loadTile<false>(j, from, tile, n);
    }
}

void winogradDepthGradient(const float* first, const float* second, int64_t floats, float* sum,
                           float* difference) {
  for (int64_t i = 0; i < floats; i += kLanes) {
    const Vec a = load(first + i), b = load(second + i);
    store(sum + i, a + b);
    store(difference + i, a - b);
  }
}

void winogradGradientStore(const WinogradGradientStore& j) {
  // First along D, point by point, since the sums of a point lie together; planes: [tap along D][point]
  // [ci][lanes].
  const int64_t planeFloats = kWinogradPoints * kWinogradBlock * kLanes;
  for (int64_t p = 0; p < kWinogradPoints; ++p)
    for (int64_t ci = 0; ci < j.channels; ++ci) {
      const float* from = j.from + p * j.pointStride + ci * j.step;
      Vec m[kWinogradDepth] = {};
      for (int64_t q = 0; q < j.partials; ++q, from += j.partialStride)
#pragma GCC unroll 4
        for (int d = 0; d < kWinogradDepth; ++d) m[d] += load(from + d * j.depthStride);
      const Vec half = splat(0.5f), middle = (m[1] + m[2]) * half;
      float* to = j.planes + (p * kWinogradBlock + ci) * kLanes;
      store(to, m[0] + middle);
      store(to + planeFloats, (m[1] - m[2]) * half);
      store(to + 2 * planeFloats, middle + m[3]);
    }
  for (int64_t ci = 0; ci < j.channels; ++ci)
    for (int d = 0; d < 3; ++d) {
      const float* from = j.planes + d * planeFloats + ci * kLanes;
      Vec rows[3][6];
#pragma GCC unroll 6
      for (int w = 0; w < 6; ++w) {
        Vec m[6], g[3];
        for (int h = 0; h < 6; ++h) m[h] = load(from + (6 * h + w) * kWinogradBlock * kLanes);
        weightTaps(m, g);
        for (int h = 0; h < 3; ++h) rows[h][w] = g[h];
      }
      for (int h = 0; h < 3; ++h) {
        Vec g[3];
        weightTaps(rows[h], g);
        for (int w = 0; w < 3; ++w) store(j.taps + (ci * 27 + 9 * d + 3 * h + w) * kLanes, g[w]);
      }
    }
}

}  // namespace rvx::RVX_ISA
