// Max pooling, vectorised over channels in blocks that stay in registers or the first cache.
// GCC leaves loops with a choice (x > 0 ? x : slope * x) scalar unless no operation may trap.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/maxPool3d.h"

#include "math/activation.h"
#include "math/maximum.h"

namespace rvx::cpu::RVX_ISA {
namespace {

constexpr int64_t kBlock = 64;  // channels

// Compares one tap's channels with the best so far. A NaN wins and stays.
template <bool Norm, bool Index>
inline void compare(const float* p, const float* scale, const float* shift, float slope,
                    int64_t count, int32_t tap, float* __restrict best, int32_t* __restrict where) {
  for (int64_t c = 0; c < count; ++c) {
    const float v = Norm ? leakyRelu(p[c] * scale[c] + shift[c], slope) : p[c];
    const bool more = replacesMaximum(v, best[c]);
    best[c] = more ? v : best[c];
    if (Index) where[c] = more ? tap : where[c];
  }
}

inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

template <bool Norm, bool Index>
void poolRow(const PoolRow& r) {
  const int64_t k = r.kernel;
  const int64_t kd0 = larger(0, -r.d), kd1 = smaller(k, r.depth - r.d);
  const int64_t kh0 = larger(0, -r.h), kh1 = smaller(k, r.height - r.h);
  alignas(64) float best[kBlock];
  alignas(64) int32_t where[kBlock];
  for (int64_t o = 0; o < r.columns; ++o) {
    const int64_t w = o * r.stride - r.padding;
    const int64_t kw0 = larger(0, -w), kw1 = smaller(k, r.width - w);
    for (int64_t c0 = 0; c0 < r.channels; c0 += kBlock) {
      const int64_t count = smaller(kBlock, r.channels - c0);
      const float *scale = Norm ? r.scale + c0 : nullptr, *shift = Norm ? r.shift + c0 : nullptr;
      const auto first = static_cast<int32_t>((kd0 * k + kh0) * k + kw0);
      for (int64_t c = 0; c < count; ++c) best[c] = -__builtin_inff(), where[c] = first;
      for (int64_t kd = kd0; kd < kd1; ++kd)
        for (int64_t kh = kh0; kh < kh1; ++kh)
          for (int64_t kw = kw0; kw < kw1; ++kw)
            compare<Norm, Index>(
                r.x + (((r.d + kd) * r.height + r.h + kh) * r.width + w + kw) * r.channels + c0,
                scale, shift, r.slope, count, static_cast<int32_t>((kd * k + kh) * k + kw), best,
                where);
      float* y = r.y + o * r.channels + c0;
      for (int64_t c = 0; c < count; ++c) y[c] = best[c];
      if (Index) {
        uint8_t* indices = r.indices + o * r.channels + c0;
        for (int64_t c = 0; c < count; ++c) indices[c] = static_cast<uint8_t>(where[c]);
      }
    }
  }
}

// What the windows that chose this voxel pass on.
template <bool Add>
inline void choose(const float* __restrict dy, const uint8_t* __restrict indices, int32_t tap,
                   int64_t count, float* __restrict dx) {
  for (int64_t c = 0; c < count; ++c) {
    const float value = dy[c], passed = indices[c] == tap ? value : 0.0f;
    dx[c] = Add ? dx[c] + passed : passed;
  }
}

}  // namespace

void maxPoolRow(const PoolRow& r) {
  if (r.scale)
    r.indices ? poolRow<true, true>(r) : poolRow<true, false>(r);
  else
    r.indices ? poolRow<false, true>(r) : poolRow<false, false>(r);
}

void maxPoolGradRow(const PoolGradRow& r) {
  const int64_t k = r.kernel, s = r.stride, p = r.padding;
  // Windows o with o*s - p <= i < o*s - p + k.
  const auto from = [=](int64_t i) { return i + p < k ? 0 : (i + p - k) / s + 1; };
  const auto to = [=](int64_t i, int64_t n) { return smaller((i + p) / s + 1, n); };
  const int64_t d0 = from(r.d), d1 = to(r.d, r.depth), h0 = from(r.h), h1 = to(r.h, r.height);
  int64_t w0 = 0, w1 = 0;
  for (int64_t w = 0; w < r.columns; ++w) {
    while (w0 * s - p + k <= w) ++w0;
    while (w1 < r.width && w1 * s - p <= w) ++w1;
    float* __restrict dx = r.dx + w * r.channels;
    // Without overlap a voxel has at most one window, whose choice is written, not added.
    const bool single = (d1 - d0) * (h1 - h0) * (w1 - w0) == 1;
    if (!single)
      for (int64_t c = 0; c < r.channels; ++c) dx[c] = 0;
    for (int64_t od = d0; od < d1; ++od)
      for (int64_t oh = h0; oh < h1; ++oh)
        for (int64_t ow = w0; ow < w1; ++ow) {
          const int64_t kd = r.d + p - od * s, kh = r.h + p - oh * s, kw = w + p - ow * s;
          const auto tap = static_cast<int32_t>((kd * k + kh) * k + kw);
          const int64_t at = ((od * r.height + oh) * r.width + ow) * r.channels;
          const float* dy = r.dy + at;
          const uint8_t* indices = r.indices + at;
          single ? choose<false>(dy, indices, tap, r.channels, dx)
                 : choose<true>(dy, indices, tap, r.channels, dx);
        }
  }
}

}  // namespace rvx::cpu::RVX_ISA
