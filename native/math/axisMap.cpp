#include "math/axisMap.h"

#include <algorithm>
#include <cmath>

namespace rvx {

bool isAxisMap(const std::array<double, 12>& affine, const std::array<int64_t, 3>& size,
               AxisMap* map) {
  static constexpr int kOrders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
                                        {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : kOrders) {
    bool good = true;
    for (size_t a = 0; a < 3 && good; ++a)
      for (size_t c = 0; c < 3 && good; ++c)
        good = int(c) == order[a] ||
               std::fabs(affine[4 * a + c]) * static_cast<double>(size[c] - 1) < 1e-6;
    if (!good) continue;
    for (size_t a = 0; a < 3; ++a) {
      map->order[a] = order[a];
      map->scale[a] = affine[4 * a + static_cast<size_t>(order[a])];
      map->shift[a] = affine[4 * a + 3];
    }
    return true;
  }
  return false;
}

namespace {

// Length of the overlap of [low, high] with [from, to].
double overlap(double low, double high, double from, double to) {
  return std::max(0.0, std::min(high, to) - std::max(low, from));
}

}  // namespace

AxisTaps axisTaps(int64_t out, int64_t in, double scale, double shift, bool border, bool box) {
  AxisTaps taps;
  const double last = static_cast<double>(in - 1), footprint = std::fabs(scale);
  const bool average = box && footprint > 1;
  int32_t most = 1;
  for (int64_t o = 0; o < out; ++o) {
    double p = scale * static_cast<double>(o) + shift;
    // Farther out nothing changes.
    const double reach = average ? footprint : 1.0;
    p = std::clamp(p, -2 - reach, last + 2 + reach);
    const double low = average ? p - footprint / 2 : std::floor(p);
    const double high = average ? p + footprint / 2 : low + 1;
    const auto begin = static_cast<int64_t>(average ? std::floor(low + 0.5) : low);
    const auto end = static_cast<int64_t>(average ? std::ceil(high - 0.5) : high) + 1;
    const int64_t from = std::clamp<int64_t>(begin, 0, in - 1);
    const int64_t to = std::clamp<int64_t>(end, from + 1, in);
    std::vector<double> w(static_cast<size_t>(to - from));
    for (int64_t i = from; i < to; ++i) {
      const double at = static_cast<double>(i);
      w[size_t(i - from)] = average ? overlap(low, high, at - 0.5, at + 0.5) / footprint
                                    : std::max(0.0, 1 - std::fabs(p - at));
    }
    // What lies beyond the first and the last voxel.
    double before = 0, after = 0;
    if (average) {
      before = overlap(low, high, low - 1, -0.5) / footprint;
      after = overlap(low, high, last + 0.5, high + 1) / footprint;
    } else if (p < 0) {
      before = std::min(1.0, -p);
    } else if (p > last) {
      after = std::min(1.0, p - last);
    }
    if (border) {
      w.front() += before;
      w.back() += after;
    }
    taps.first.push_back(static_cast<int32_t>(from));
    taps.count.push_back(static_cast<int32_t>(to - from));
    taps.offset.push_back(static_cast<int32_t>(taps.weight.size()));
    taps.inside.push_back(border ? 1.0f : static_cast<float>(1 - before - after));
    for (double v : w) taps.weight.push_back(static_cast<float>(v));
    most = std::max(most, static_cast<int32_t>(to - from));
  }
  if (most <= 2 && in >= 2) {
    taps.pairs = true;
    std::vector<float> even(static_cast<size_t>(2 * out), 0.0f);
    for (size_t o = 0; o < static_cast<size_t>(out); ++o) {
      const int32_t start = std::min(taps.first[o], static_cast<int32_t>(in - 2));
      for (int32_t k = 0; k < taps.count[o]; ++k)
        even[2 * o + size_t(taps.first[o] - start + k)] = taps.weight[size_t(taps.offset[o] + k)];
      taps.first[o] = start;
      taps.count[o] = 2;
      taps.offset[o] = static_cast<int32_t>(2 * o);
    }
    taps.weight = std::move(even);
  }
  taps.from = in;
  for (size_t o = 0; o < taps.first.size(); ++o) {
    taps.from = std::min<int64_t>(taps.from, taps.first[o]);
    taps.to = std::max<int64_t>(taps.to, taps.first[o] + taps.count[o]);
  }
  return taps;
}

}  // namespace rvx
