// Output transforms of winograd.h: along D from points to planes; along H and W a tile at a time in
// registers, with bias, store and sums for the statistics.
#include "cpu/isa/channel_sums.h"
#include "cpu/isa/winograd.h"
#include "cpu/isa/winograd_points.h"

namespace rvx::RVX_ISA {
namespace {

template <bool Whole, bool Stream = false>
void storeChannels(const WinogradStore& j, int64_t from) {
  const int64_t lanes = Whole ? kLanes : j.channels - from;
  const Vec bias = load(j.bias + from);
  ChannelSums sums;
  for (int64_t tile = 0; tile < j.tiles; ++tile) {
    const float* in = j.in + tile * j.tileStride + from;
    Vec half[6][4];
#pragma GCC unroll 6
    for (int w = 0; w < 6; ++w) {
      Vec m[6];
#pragma GCC unroll 6
      for (int h = 0; h < 6; ++h) m[h] = load(in + (6 * h + w) * j.pointStride);
      outputPoints(m, half[w]);
    }
    const int64_t column = tile * kWinogradTile;
    const int64_t n = j.width - column < kWinogradTile ? j.width - column : kWinogradTile;
#pragma GCC unroll 4
    for (int h = 0; h < 4; ++h) {
      if (!j.rows[h]) continue;
      Vec m[6], y[4];
#pragma GCC unroll 6
      for (int w = 0; w < 6; ++w) m[w] = half[w][h];
      outputPoints(m, y);
#pragma GCC unroll 4
      for (int w = 0; w < 4; ++w) y[w] += bias;
      float* to = j.rows[h] + column * j.stride + from;
      if (Whole && n == kWinogradTile) {
#pragma GCC unroll 4
        for (int w = 0; w < 4; ++w)
          Stream ? stream(to + w * j.stride, y[w]) : store(to + w * j.stride, y[w]);
        if (j.mean) sums.add(y, kWinogradTile);
      } else {
        for (int64_t w = 0; w < n; ++w)
          std::memcpy(to + w * j.stride, &y[w], sizeof(float) * size_t(lanes));
        if (j.mean) sums.add(y, n);
      }
    }
  }
  if (j.mean) sums.finish(j.mean + from, j.m2 + from);
}

}  // namespace

void winogradStore(const WinogradStore& j) {
  for (int64_t from = 0; from < j.channels; from += kLanes)
    if (j.channels - from < kLanes)
      storeChannels<false>(j, from);
    else
      j.stream ? storeChannels<true, true>(j, from) : storeChannels<true>(j, from);
  if (j.stream) fence();
}

void winogradDepthStore(const float* points, int64_t stride, int64_t floats, float* first,
                        float* second) {
  for (int64_t i = 0; i < floats; i += kLanes) {
    const Vec a = load(points + i), b = load(points + stride + i);
    const Vec c = load(points + 2 * stride + i), d = load(points + 3 * stride + i);
    store(first + i, a + (b + c));
    store(second + i, (b - c) + d);
  }
}

}  // namespace rvx::RVX_ISA
