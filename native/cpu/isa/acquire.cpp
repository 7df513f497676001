// Loops of acquire and raggedMask over neighbouring voxels.
#define RVX_PORTABLE_INLINE
#include "cpu/isa/acquire.h"

#include <algorithm>

#include "cpu/isa/vector.h"

namespace rvx::cpu::RVX_ISA {
namespace {

using namespace rvx::RVX_ISA;

static_assert(kLineGrain % kLanes == 0);

// Rows x Vectors registers of sums stay in place while the taps pass.
template <int Rows, int Vectors>
void sums(const float* lines, int64_t stride, const float* weight, int64_t taps, float* y,
          int64_t yStride) {
  Vec sum[Rows][Vectors] = {};
  for (int64_t t = 0; t < taps; ++t)
    for (int r = 0; r < Rows; ++r)
      for (int v = 0; v < Vectors; ++v)
        sum[r][v] += weight[t] * load(lines + r * stride + t + v * kLanes);
  for (int r = 0; r < Rows; ++r)
    for (int v = 0; v < Vectors; ++v) store(y + r * yStride + v * kLanes, sum[r][v]);
}

template <int Vectors>
void columns(const float* lines, int64_t stride, const float* weight, int64_t taps, int64_t rows,
             float* y, int64_t yStride) {
  constexpr int kRows = 8 / Vectors;
  int64_t r = 0;
  for (; r + kRows <= rows; r += kRows)
    sums<kRows, Vectors>(lines + r * stride, stride, weight, taps, y + r * yStride, yStride);
  for (; r < rows; ++r)
    sums<1, Vectors>(lines + r * stride, stride, weight, taps, y + r * yStride, yStride);
}

// latticeNoise of a row, from the lattice values of the rows round it: nodes[c][i], c = 0..3 by steps along y, then z.
Vec noiseAt(const float* nodes, int64_t count, Vec x, float v, float w) {
  IntVec cells = __builtin_convertvector(x, IntVec);  // x is not negative
  const Vec t = x - __builtin_convertvector(cells, Vec);
  const Vec u = t * t * (3.0f - 2.0f * t);
  int32_t cell[kLanes];
  std::memcpy(cell, &cells, sizeof cells);
  uint32_t left = (1u << kLanes) - 1;
  Vec noise = {};
  while (left) {
    const int32_t i = cell[__builtin_ctz(left)];
    const float *a = nodes + i, *b = a + count, *c = b + count, *d = c + count;
    const Vec here = latticeJoin(a[0], a[1], b[0], b[1], c[0], c[1], d[0], d[1], u, v, w);
    const IntVec same = cells == i;
    noise = same ? here : noise;
    left &= ~bitsOf(same);
  }
  return noise;
}

}  // namespace

void blurLines(const float* lines, int64_t stride, const float* weight, int64_t taps, int64_t rows,
               int64_t width, float* y, int64_t yStride) {
  const int64_t all = (width + kLineGrain - 1) / kLineGrain * (kLineGrain / kLanes);
  for (int64_t v = 0; v < all; v += 4) {
    const float* from = lines + v * kLanes;
    float* to = y + v * kLanes;
    switch (std::min<int64_t>(all - v, 4)) {
      case 1:
        columns<1>(from, stride, weight, taps, rows, to, yStride);
        break;
      case 2:
        columns<2>(from, stride, weight, taps, rows, to, yStride);
        break;
      case 3:
        columns<3>(from, stride, weight, taps, rows, to, yStride);
        break;
      default:
        columns<4>(from, stride, weight, taps, rows, to, yStride);
    }
  }
}

void whiteNoise(uint32_t first, uint32_t seed, int64_t n, float* __restrict y) {
  for (int64_t i = 0; i < n; ++i) y[i] = normalNoise(first + static_cast<uint32_t>(i), seed);
}

void finishRow(const float* __restrict image, const float* __restrict noise, float scale,
               const DisplayWindow& window, const uint8_t* __restrict mask, bool channel, int64_t n,
               float* __restrict y) {
  const DisplayWindow shown = window;
  const auto value = [&](int64_t i) {
    return shown(noise ? image[i] + scale * noise[i] : image[i]);
  };
  if (channel) {
    for (int64_t i = 0; i < n; ++i) y[2 * i] = value(i), y[2 * i + 1] = mask[i] ? 1.0f : 0.0f;
    return;
  }
  for (int64_t i = 0; i < n; ++i) y[i] = value(i);
  if (!mask) return;
  const float bottom = shown.bottom();
  for (int64_t i = 0; i < n; ++i) y[i] = mask[i] ? y[i] : bottom;
}

void outlineRow(const RaggedOutline& outline, const float* soft, int64_t d, int64_t h, int64_t n,
                float* nodes, uint8_t* mask) {
  const RaggedOutline o = outline;
  int64_t i = 0;
  if (o.rate <= 1) {
    const float y = static_cast<float>(h) * o.rate, z = static_cast<float>(d) * o.rate;
    const int32_t j = floorInt(y), k = floorInt(z);
    const float v = smoothstep(y - static_cast<float>(j)),
                w = smoothstep(z - static_cast<float>(k));
    // As many as the row's last place needs.
    const int64_t count = floorInt(static_cast<float>(n) * o.rate) + 2;
    bool made = false;
    Vec place;
    for (int l = 0; l < kLanes; ++l) place[l] = static_cast<float>(l);
    for (; i + kLanes <= n; i += kLanes) {
      const Vec s = load(soft + i);
      const IntVec far = (s < splat(1e-4f)) | (s > splat(0.9999f));
      IntVec in = s > splat(0.5f);
      if (bitsOf(~far)) {
        if (!made)
          for (int c = 0; c < 4; ++c)
            for (int32_t m = 0; m < static_cast<int32_t>(count); ++m)
              nodes[c * count + m] = latticeValue(m, j + c % 2, k + c / 2, o.seed);
        made = true;
        const Vec x = (place + static_cast<float>(i)) * o.rate;
        alignas(64) float limit[kLanes];
        store(limit, noiseAt(nodes, count, x, v, w));
        for (int l = 0; l < kLanes; ++l) limit[l] = o.limit(limit[l]);
        in = far ? in : s > load(limit);
      }
      storeBytes(mask + i, in & 1);
    }
  }
  for (; i < n; ++i) mask[i] = o.inside(soft[i], d, h, i);
}

}  // namespace rvx::cpu::RVX_ISA
