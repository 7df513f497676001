// Input transforms of winograd.h: along H column by column into a buffer of the first cache, with norm
// and activation on the way, then along W; along D between planes that are transformed already.
#include "cpu/isa/winograd.h"
#include "cpu/isa/winograd_points.h"

namespace rvx::RVX_ISA {
namespace {

constexpr int64_t kTiles = 8;  // in the buffer at a time
constexpr int64_t kColumns = kWinogradTile * kTiles + 2;

enum class Norm { none, leaky, any };  // leaky: a slope of at most 1

// Along H: columns first..first+count-1 of lanes from..from+kLanes-1 become [point][column].
template <bool All, Norm norm>
void columns(const WinogradLoad& j, int64_t from, int64_t first, int64_t count, Vec* buffer) {
  Vec scale{}, shift{};
  if constexpr (norm != Norm::none) scale = load(j.scale + from), shift = load(j.shift + from);
  const Vec slope = splat(j.slope);
  for (int64_t c = 0; c < count; ++c) {
    const int64_t x = first + c;
    Vec d[6], t[6];
    if (x < 0 || x >= j.width) {
      for (int p = 0; p < 6; ++p) buffer[p * kColumns + c] = Vec{};
      continue;
    }
    const int64_t at = x * j.stride + from;
#pragma GCC unroll 6
    for (int r = 0; r < 6; ++r) {
      if (!All && !j.rows[r]) {
        d[r] = Vec{};
        continue;
      }
      d[r] = load(j.rows[r] + at);
      if constexpr (norm != Norm::none) {
        const Vec v = fma(d[r], scale, shift);
        d[r] = norm == Norm::leaky ? max(v, v * slope) : v > Vec{} ? v : v * slope;
      }
    }
    inputPoints(d, t);
#pragma GCC unroll 6
    for (int p = 0; p < 6; ++p) buffer[p * kColumns + c] = t[p];
  }
}

}  // namespace

void winogradLoad(const WinogradLoad& j) {
  Vec buffer[6 * kColumns];
  bool all = true;
  for (const float* row : j.rows) all = all && row;
  const auto run = !j.scale       ? (all ? columns<true, Norm::none> : columns<false, Norm::none>)
                   : j.slope <= 1 ? (all ? columns<true, Norm::leaky> : columns<false, Norm::leaky>)
                                  : (all ? columns<true, Norm::any> : columns<false, Norm::any>);
  for (int64_t from = 0; from < kWinogradBlock; from += kLanes)
    for (int64_t begin = 0; begin < j.tiles; begin += kTiles) {
      const int64_t count = j.tiles - begin < kTiles ? j.tiles - begin : kTiles;
      run(j, from, j.firstColumn + begin * kWinogradTile, count * kWinogradTile + 2, buffer);
      for (int p = 0; p < 6; ++p) {
        float* to = j.out + 6 * p * j.pointStride + begin * kWinogradBlock + from;
        for (int64_t tile = 0; tile < count; ++tile) {
          Vec t[6];
          inputPoints(buffer + p * kColumns + tile * kWinogradTile, t);
#pragma GCC unroll 6
          for (int w = 0; w < 6; ++w) store(to + w * j.pointStride + tile * kWinogradBlock, t[w]);
        }
      }
    }
}

void winogradDepthLoad(const float* const planes[4], int64_t floats, float* to, int64_t stride) {
  const float *a = planes[0], *b = planes[1], *c = planes[2], *d = planes[3];
  for (int64_t i = 0; i < floats; i += kLanes) {
    const Vec d0 = load(a + i), d1 = load(b + i), d2 = load(c + i), d3 = load(d + i);
    store(to + i, d0 - d2);
    store(to + stride + i, d1 + d2);
    store(to + 2 * stride + i, d2 - d1);
    store(to + 3 * stride + i, d3 - d1);
  }
}

}  // namespace rvx::RVX_ISA
