// Transforms of winograd_stem.h. Input: vectors over columns and tiles, as there are few channels.
// Output: vectors over channels.
#include "cpu/isa/winograd_stem.h"

#include "cpu/isa/channel_sums.h"
#include "cpu/isa/winograd_stem_points.h"

namespace rvx::RVX_ISA {
namespace {

template <int N>
void input(const StemInput& j) {
  for (int64_t i = 0; i < j.floats; i += kLanes) {
    Vec d[N], t[N];
#pragma GCC unroll 7
    for (int b = 0; b < N; ++b) d[b] = load(j.from[b] + i);
    stemInputPoints<N>(d, t);
#pragma GCC unroll 7
    for (int a = 0; a < N; ++a) store(j.to + a * j.stride + i, t[a]);
  }
}

template <int N>
void output(const StemOutput& j) {
  for (int64_t i = 0; i < j.floats; i += kLanes) {
    Vec m[N], y[kStemTile];
#pragma GCC unroll 7
    for (int p = 0; p < N; ++p) m[p] = load(j.from + p * j.stride + i);
    stemOutputPoints<N>(m, y);
#pragma GCC unroll 4
    for (int h = 0; h < kStemTile; ++h) store(j.to + h * j.toStride + i, y[h]);
  }
}

template <int N, bool Whole>
void storeChannels(const StemStore& j, int64_t from) {
  const int64_t lanes = Whole ? kLanes : j.channels - from;
  const Vec bias = load(j.bias + from);
  ChannelSums sums;
  for (int64_t tile = 0; tile < j.tiles; ++tile) {
    const int64_t column = tile * kStemTile;
    const int64_t n = j.width - column < kStemTile ? j.width - column : kStemTile;
    for (int h = 0; h < kStemTile; ++h) {
      if (!j.rows[h]) continue;
      const float* in = j.in + h * j.rowStride + tile * j.tileStride + from;
      Vec m[N], y[kStemTile];
#pragma GCC unroll 7
      for (int p = 0; p < N; ++p) m[p] = load(in + p * j.pointStride);
      stemOutputPoints<N>(m, y);
#pragma GCC unroll 4
      for (int w = 0; w < kStemTile; ++w) y[w] += bias;
      float* to = j.rows[h] + column * j.stride + from;
      if (Whole && n == kStemTile) {
#pragma GCC unroll 4
        for (int w = 0; w < kStemTile; ++w) store(to + w * j.stride, y[w]);
      } else {
        for (int64_t w = 0; w < n; ++w)
          std::memcpy(to + w * j.stride, &y[w], sizeof(float) * size_t(lanes));
      }
      if (j.mean) sums.add(y, n);
    }
  }
  if (j.mean) sums.finish(j.mean + from, j.m2 + from);
}

template <int N>
void storeAll(const StemStore& j) {
  for (int64_t from = 0; from < j.channels; from += kLanes)
    if (j.channels - from >= kLanes)
      storeChannels<N, true>(j, from);
    else
      storeChannels<N, false>(j, from);
}

// What lies at the same place of each period comes together.
template <int Period>
void part(const StemRow& j) {
  const int64_t period = Period ? Period : j.period;
  for (int64_t t = 0; t < j.places; ++t)
#pragma GCC unroll 8
    for (int64_t c = 0; c < period; ++c) j.out[c * j.places + t] = j.line[t * period + c];
}

}  // namespace

void stemRow(const StemRow& j) {
  const int64_t columns = j.period * j.places;
  if (!j.x) {
    std::memset(j.out, 0, sizeof(float) * size_t(columns));
    return;
  }
  const auto clamp = [&](int64_t c) { return c < 0 ? 0 : c > columns ? columns : c; };
  const int64_t begin = clamp(-j.firstColumn), end = clamp(j.width - j.firstColumn);
  for (int64_t c = 0; c < begin; ++c) j.line[c] = 0;
  for (int64_t c = end; c < columns; ++c) j.line[c] = 0;
  const auto at = [&](int64_t c) { return j.x[(j.firstColumn + c) * j.stride]; };
  if (j.scale) {
    const float scale = *j.scale, shift = *j.shift, slope = j.slope;
    for (int64_t c = begin; c < end; ++c) {
      const float v = at(c) * scale + shift;
      j.line[c] = v > 0 ? v : v * slope;
    }
  } else {
    for (int64_t c = begin; c < end; ++c) j.line[c] = at(c);
  }
  if (j.period == 8)
    part<8>(j);
  else
    part<0>(j);
}

void stemInput(const StemInput& j) {
  if (j.points == 4) return input<4>(j);
  if (j.points == 5) return input<5>(j);
  if (j.points == 6) return input<6>(j);
  input<7>(j);
}

void stemOutput(const StemOutput& j) {
  if (j.points == 4) return output<4>(j);
  if (j.points == 5) return output<5>(j);
  if (j.points == 6) return output<6>(j);
  output<7>(j);
}

void stemStore(const StemStore& j) {
  if (j.points == 4) return storeAll<4>(j);
  if (j.points == 5) return storeAll<5>(j);
  if (j.points == 6) return storeAll<6>(j);
  storeAll<7>(j);
}

}  // namespace rvx::RVX_ISA
