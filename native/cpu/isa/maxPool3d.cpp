// Max pooling: channels in vectors that stay in registers while the taps of a window, or the windows of
// a voxel, go by; what is left of them one by one.
#include "cpu/maxPool3d.h"

#include "cpu/isa/vector.h"
#include "math/activation.h"
#include "math/maximum.h"

namespace rvx::cpu::RVX_ISA {
namespace {

using namespace rvx::RVX_ISA;

inline int64_t larger(int64_t a, int64_t b) { return a > b ? a : b; }
inline int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }

// One window: its taps inside the sample.
struct Window {
  const float* x;  // the first of them
  int64_t plane, row, voxel;
  int64_t d, h, w;            // how many
  int32_t first, tapD, tapH;  // number of the first tap, steps to the next plane and row
};

template <class Visit>
inline void eachTap(const Window& win, Visit&& visit) {
  for (int64_t d = 0; d < win.d; ++d)
    for (int64_t h = 0; h < win.h; ++h) {
      const float* p = win.x + d * win.plane + h * win.row;
      int32_t tap =
          win.first + static_cast<int32_t>(d) * win.tapD + static_cast<int32_t>(h) * win.tapH;
      for (int64_t w = 0; w < win.w; ++w, p += win.voxel) visit(p, tap++);
    }
}

// Channels c .. c + NV * kLanes - 1. A NaN wins and stays.
template <int NV, bool Norm, bool Index>
inline void poolVectors(const PoolRow& r, const Window& win, int64_t c, float* y,
                        uint8_t* indices) {
  Vec best[NV], scale[NV], shift[NV];
  IntVec where[NV];
#pragma GCC unroll 4
  for (int n = 0; n < NV; ++n) {
    best[n] = splat(-__builtin_inff());
    where[n] = IntVec{} + win.first;
    if constexpr (Norm)
      scale[n] = load(r.scale + c + n * kLanes), shift[n] = load(r.shift + c + n * kLanes);
  }
  const Vec slope = splat(r.slope);
  eachTap(win, [&](const float* p, int32_t tap) {
#pragma GCC unroll 4
    for (int n = 0; n < NV; ++n) {
      Vec v = load(p + c + n * kLanes);
      if constexpr (Norm) {
        v = v * scale[n] + shift[n];
        v = select(v > Vec{}, v, slope * v);
      }
      const IntVec more = ~(v <= best[n]) & (best[n] == best[n]);  // replacesMaximum
      best[n] = select(more, v, best[n]);
      if constexpr (Index) where[n] = (more & (IntVec{} + tap)) | (~more & where[n]);
    }
  });
#pragma GCC unroll 4
  for (int n = 0; n < NV; ++n) {
    store(y + c + n * kLanes, best[n]);
    if constexpr (Index) storeBytes(indices + c + n * kLanes, where[n]);
  }
}

template <bool Norm, bool Index>
inline void poolOne(const PoolRow& r, const Window& win, int64_t c, float* y, uint8_t* indices) {
  float best = -__builtin_inff();
  int32_t where = win.first;
  eachTap(win, [&](const float* p, int32_t tap) {
    const float v = Norm ? leakyRelu(p[c] * r.scale[c] + r.shift[c], r.slope) : p[c];
    const bool more = replacesMaximum(v, best);
    best = more ? v : best;
    where = more ? tap : where;
  });
  y[c] = best;
  if (Index) indices[c] = static_cast<uint8_t>(where);
}

template <bool Norm, bool Index>
void poolRow(const PoolRow& r) {
  const int64_t k = r.kernel;
  const int64_t kd = larger(0, -r.d), kh = larger(0, -r.h);
  Window win;
  win.voxel = r.channels;
  win.row = r.width * win.voxel;
  win.plane = r.height * win.row;
  win.d = smaller(k, r.depth - r.d) - kd;
  win.h = smaller(k, r.height - r.h) - kh;
  win.tapD = static_cast<int32_t>(k * k);
  win.tapH = static_cast<int32_t>(k);
  for (int64_t o = 0; o < r.columns; ++o) {
    const int64_t w = o * r.stride - r.padding, kw = larger(0, -w);
    win.w = smaller(k, r.width - w) - kw;
    win.first = static_cast<int32_t>((kd * k + kh) * k + kw);
    win.x = r.x + (r.d + kd) * win.plane + (r.h + kh) * win.row + (w + kw) * win.voxel;
    float* y = r.y + o * r.channels;
    uint8_t* indices = Index ? r.indices + o * r.channels : nullptr;
    int64_t c = 0;
    for (; c + 4 * kLanes <= r.channels; c += 4 * kLanes)
      poolVectors<4, Norm, Index>(r, win, c, y, indices);
    for (; c + kLanes <= r.channels; c += kLanes)
      poolVectors<1, Norm, Index>(r, win, c, y, indices);
    for (; c < r.channels; ++c) poolOne<Norm, Index>(r, win, c, y, indices);
  }
}

// What a window that chose `tap` passes on.
inline Vec passed(const float* dy, const uint8_t* indices, int32_t tap) {
  return select(loadBytes(indices) == tap, load(dy), Vec{});
}
inline float passedOne(const float* dy, const uint8_t* indices, int32_t tap) {
  return *indices == tap ? *dy : 0.0f;
}

// Windows that do not overlap: each voxel of a row has one, or none at the end.
void separateWindows(const PoolGradRow& r, int64_t od, int64_t oh) {
  const int64_t k = r.kernel;
  const auto first = static_cast<int32_t>(((r.d - od * k) * k + r.h - oh * k) * k);
  const bool inside = od < r.depth && oh < r.height;
  const int64_t windows = inside ? r.width : 0;
  const int64_t at = (od * r.height + oh) * r.width * r.channels;
  float* dx = r.dx;
  for (int64_t ow = 0; ow < windows; ++ow) {
    const float* dy = r.dy + at + ow * r.channels;
    const uint8_t* indices = r.indices + at + ow * r.channels;
    for (int64_t kw = 0; kw < k; ++kw, dx += r.channels) {
      const int32_t tap = first + static_cast<int32_t>(kw);
      int64_t c = 0;
      for (; c + kLanes <= r.channels; c += kLanes) store(dx + c, passed(dy + c, indices + c, tap));
      for (; c < r.channels; ++c) dx[c] = passedOne(dy + c, indices + c, tap);
    }
  }
  std::memset(dx, 0, sizeof(float) * size_t((r.columns - windows * k) * r.channels));
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
  if (k == s && p == 0) return separateWindows(r, r.d / k, r.h / k);
  // Windows o with o*s - p <= i < o*s - p + k.
  const auto from = [=](int64_t i) { return i + p < k ? 0 : (i + p - k) / s + 1; };
  const auto to = [=](int64_t i, int64_t n) { return smaller((i + p) / s + 1, n); };
  const int64_t d0 = from(r.d), d1 = to(r.d, r.depth), h0 = from(r.h), h1 = to(r.h, r.height);
  int64_t w0 = 0, w1 = 0;
  for (int64_t w = 0; w < r.columns; ++w) {
    while (w0 * s - p + k <= w) ++w0;
    while (w1 < r.width && w1 * s - p <= w) ++w1;
    const auto eachWindow = [&](auto&& visit) {
      for (int64_t od = d0; od < d1; ++od)
        for (int64_t oh = h0; oh < h1; ++oh)
          for (int64_t ow = w0; ow < w1; ++ow) {
            const int64_t kd = r.d + p - od * s, kh = r.h + p - oh * s, kw = w + p - ow * s;
            visit(((od * r.height + oh) * r.width + ow) * r.channels,
                  static_cast<int32_t>((kd * k + kh) * k + kw));
          }
    };
    float* dx = r.dx + w * r.channels;
    int64_t c = 0;
    for (; c + 4 * kLanes <= r.channels; c += 4 * kLanes) {
      Vec sum[4] = {};
      eachWindow([&](int64_t at, int32_t tap) {
#pragma GCC unroll 4
        for (int n = 0; n < 4; ++n)
          sum[n] += passed(r.dy + at + c + n * kLanes, r.indices + at + c + n * kLanes, tap);
      });
#pragma GCC unroll 4
      for (int n = 0; n < 4; ++n) store(dx + c + n * kLanes, sum[n]);
    }
    for (; c + kLanes <= r.channels; c += kLanes) {
      Vec sum{};
      eachWindow(
          [&](int64_t at, int32_t tap) { sum += passed(r.dy + at + c, r.indices + at + c, tap); });
      store(dx + c, sum);
    }
    for (; c < r.channels; ++c) {
      float sum = 0;
      eachWindow([&](int64_t at, int32_t tap) {
        sum += passedOne(r.dy + at + c, r.indices + at + c, tap);
      });
      dx[c] = sum;
    }
  }
}

}  // namespace rvx::cpu::RVX_ISA
