// One pass of a separable blur: y[p, o, i] = sum over t of taps[t] x[p, clamp(o + t - radius), i].
//
// FLOPs: 2 (2 radius + 1) a value. Least bytes: one read and one write of 4. Neighbours along the axis are read again, out of the
// caches: where `inner` is long, a thread makes four values along the axis, neighbours in `inner` being neighbouring threads, so
// that it reads 4 + 2 radius values for 4; where it is short, as along w, threads take neighbouring values and their windows overlap
// in the first cache. The taps, of any number, come out of the cache too.
//
// Limits: f32; n + 2 radius + 4 below 2^31 (checked). Work grows with the radius: two instructions a tap, products rounded for the CPU's
// bits, pass an H100's 8 bytes a value from a radius of about 20 on; there is no recursive form.
#include "cuda/blurLines.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kOutputs = 4;

struct Lines {
  int64_t values, inner;
  int n, radius;
};

RVX_DEVICE int64_t clampToAxis(int at, int n) { return at < 0 ? 0 : at < n ? at : n - 1; }

RVX_KERNEL(kThreads)
blurFour(const float* x, Lines lines, int groups, const float* taps, float* y) {
  const int64_t item = int64_t{blockIdx.x} * kThreads + threadIdx.x, row = item / lines.inner;
  const int64_t plane = row / groups;
  if (plane * lines.n * lines.inner >= lines.values) return;
  const int first = static_cast<int>(row - plane * groups) * kOutputs, n = lines.n;
  const int64_t base = plane * n * lines.inner + (item - row * lines.inner);
  const int count = 2 * lines.radius + 1;
  float sum[kOutputs] = {};
  for (int j = 0; j < count + kOutputs - 1; ++j) {
    const float value = ld(x + base + clampToAxis(first + j - lines.radius, n) * lines.inner);
    RVX_UNROLL
    for (int k = 0; k < kOutputs; ++k) {
      const int t = j - k;
      if (t >= 0 && t < count) sum[k] += ld(taps + t) * value;
    }
  }
  RVX_UNROLL
  for (int k = 0; k < kOutputs; ++k)
    if (first + k < n) st(y + base + (first + k) * lines.inner, sum[k]);
}

RVX_KERNEL(kThreads)
blurOne(const float* x, Lines lines, const float* taps, float* y) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= lines.values) return;
  const int64_t row = at / lines.inner;
  const int o = static_cast<int>(row % lines.n), count = 2 * lines.radius + 1;
  const float* here = x + (at - o * lines.inner);
  float sum = 0;
  for (int t = 0; t < count; ++t)
    sum += ld(taps + t) * ld(here + clampToAxis(o + t - lines.radius, lines.n) * lines.inner);
  st(y + at, sum);
}

}  // namespace

void blurAlong(Context& cx, const float* x, float* y, int64_t planes, int64_t n, int64_t inner,
               const float* taps, int64_t radius) {
  require(n + 2 * radius + kOutputs <= INT32_MAX, "ShapeMismatch", "An axis is too long to blur");
  const Lines lines{planes * n * inner, inner, static_cast<int>(n), static_cast<int>(radius)};
  if (inner < 32) {
    launch(cx, "blur/near", blocksFor(lines.values, kThreads), kThreads, 0, &blurOne, x, lines,
           taps, y);
  } else {
    const int64_t groups = (n + kOutputs - 1) / kOutputs;
    launch(cx, "blur/far", blocksFor(planes * groups * inner, kThreads), kThreads, 0, &blurFour, x,
           lines, static_cast<int>(groups), taps, y);
  }
}

}  // namespace rvx::cuda
