// Transforms of winograd_stem.h. Input: vectors over columns and tiles, as there are few channels.
// Output: vectors over channels.
#include "cpu/isa/winograd_stem.h"

#include "cpu/isa/channel_sums.h"
#include "cpu/isa/winograd_stem_points.h"

namespace rvx::RVX_ISA {
namespace {

template <int N>
void input(const StemInput& j) {
  const float* from[N];
  for (int b = 0; b < N; ++b) from[b] = j.from[b];
  const int64_t floats = j.floats, stride = j.stride;
  for (int64_t r = 0; r < j.rows; ++r) {
    const int64_t at = r * j.fromStep;
    float* to = j.to + r * j.toStep;
    for (int64_t i = 0; i < floats; i += kLanes) {
      Vec d[N], t[N];
#pragma GCC unroll 7
      for (int b = 0; b < N; ++b) d[b] = load(from[b] + at + i);
      stemInputPoints<N>(d, t);
#pragma GCC unroll 7
      for (int a = 0; a < N; ++a) store(to + a * stride + i, t[a]);
    }
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

// Vectors of channels in the innermost loop: with eight lanes, two of them fill a line of the cache.
template <int N, bool Stream>
void storeTiles(const StemStore& j) {
  const int64_t vectors = (j.channels + kLanes - 1) / kLanes;
  ChannelSums sums[2];
  for (int64_t tile = 0; tile < j.tiles; ++tile) {
    const int64_t column = tile * kStemTile;
    const int64_t n = j.width - column < kStemTile ? j.width - column : kStemTile;
    for (int h = 0; h < kStemTile; ++h) {
      if (!j.rows[h]) continue;
      for (int64_t v = 0; v < vectors; ++v) {
        const float* in = j.in + h * j.rowStride + tile * j.tileStride + v * kLanes;
        const Vec bias = load(j.bias + v * kLanes);
        Vec m[N], y[kStemTile];
#pragma GCC unroll 7
        for (int p = 0; p < N; ++p) m[p] = load(in + p * j.pointStride);
        stemOutputPoints<N>(m, y);
#pragma GCC unroll 4
        for (int w = 0; w < kStemTile; ++w) y[w] += bias;
        float* to = j.rows[h] + column * j.stride + v * kLanes;
        const int64_t left = j.channels - v * kLanes;
        if (left >= kLanes && n == kStemTile) {
#pragma GCC unroll 4
          for (int w = 0; w < kStemTile; ++w)
            Stream ? stream(to + w * j.stride, y[w]) : store(to + w * j.stride, y[w]);
        } else {
          const int64_t lanes = left < kLanes ? left : kLanes;
          for (int64_t w = 0; w < n; ++w)
            std::memcpy(to + w * j.stride, &y[w], sizeof(float) * size_t(lanes));
        }
        if (j.mean) sums[v].add(y, n);
      }
    }
  }
  if (Stream) fence();
  for (int64_t v = 0; j.mean && v < vectors; ++v)
    sums[v].finish(j.mean + v * kLanes, j.m2 + v * kLanes);
}

template <int N>
void storeTiles(const StemStore& j) {
  j.stream ? storeTiles<N, true>(j) : storeTiles<N, false>(j);
}

// Parts P vectors that are one array into P of every P-th float.
template <int P>
void unzip(Vec* v) {
  if constexpr (P > 1) {
    IntVec even;
    for (int l = 0; l < kLanes; ++l) even[l] = 2 * l;
    Vec half[2][P / 2];
    for (int i = 0; i < P / 2; ++i) {
      half[0][i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], even);
      half[1][i] = __builtin_shuffle(v[2 * i], v[2 * i + 1], even + 1);
    }
    unzip<P / 2>(half[0]);
    unzip<P / 2>(half[1]);
    for (int i = 0; i < P; ++i) v[i] = half[i % 2][i / 2];
  }
}

template <int P>
void part(const StemRow& j) {
  for (int64_t begin = 0; begin < j.places; begin += kLanes) {
    // The last ones overlap those before.
    const int64_t t = begin < j.places - kLanes ? begin : j.places - kLanes;
    Vec v[P];
    for (int c = 0; c < P; ++c) v[c] = load(j.line + t * P + c * kLanes);
    unzip<P>(v);
    for (int c = 0; c < P; ++c) store(j.out + c * j.places + t, v[c]);
  }
}

void part(const StemRow& j) {
  if (j.places >= kLanes && j.period == 4) return part<4>(j);
  if (j.places >= kLanes && j.period == 8) return part<8>(j);
  for (int64_t t = 0; t < j.places; ++t)
    for (int64_t c = 0; c < j.period; ++c) j.out[c * j.places + t] = j.line[t * j.period + c];
}

// Columns begin..end-1 of the row, normalised.
void fillLine(const StemRow& j, int64_t begin, int64_t end) {
  const float* x = j.x + (j.firstColumn + begin) * j.stride;
  float* to = j.line + begin;
  const int64_t count = end - begin;
  if (j.stride == 1)
    std::memcpy(to, x, sizeof(float) * size_t(count));
  else
    for (int64_t c = 0; c < count; ++c) to[c] = x[c * j.stride];
  if (!j.scale) return;
  const float scale = *j.scale, shift = *j.shift, slope = j.slope;
  for (int64_t c = 0; c < count; ++c) {
    const float v = to[c] * scale + shift;
    to[c] = v > 0 ? v : v * slope;
  }
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
  if (begin < end) fillLine(j, begin, end);
  part(j);
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
  if (j.points == 4) return storeTiles<4>(j);
  if (j.points == 5) return storeTiles<5>(j);
  if (j.points == 6) return storeTiles<6>(j);
  storeTiles<7>(j);
}

}  // namespace rvx::RVX_ISA
