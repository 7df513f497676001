// The lower envelope of the parabolas f[i] + step^2 (x - i)^2, the one-dimensional step of the exact
// Euclidean distance transform.
//
// Maurer, Qi, Raghavan: A linear time algorithm for computing exact Euclidean distance transforms of
// binary images in arbitrary dimensions, IEEE TPAMI 2003; the test below is theirs and needs no
// division. With whole f and step it is exact in double; else it errs only where two parabolas cross
// to within rounding, so that either gives the same distance to about 1e-15.
#pragma once
#include <cstdint>

#include "math/portable.h"

namespace rvx {

// One parabola of the envelope.
struct Site {
  double value;  // mm^2
  int32_t at;    // voxel
};

// Whether parabola v, between u and w, is nowhere the lowest.
RVX_PORTABLE inline bool hidden(const Site& u, const Site& v, const Site& w, double step2) {
  const double a = v.at - u.at, b = w.at - v.at, c = w.at - u.at;
  return c * v.value - b * u.value - a * w.value - a * b * c * step2 > 0;
}

RVX_PORTABLE inline double parabola(const Site& site, int64_t x, double step2) {
  const auto k = static_cast<double>(x - site.at);
  return site.value + step2 * (k * k);
}

// Writes the parabolas of f[0..n) that are somewhere the lowest, left to right, to sites (room for
// n); returns how many. Infinite values are no sites.
RVX_PORTABLE inline int64_t lowerEnvelope(const double* f, int64_t n, double step2, Site* sites) {
  int64_t count = 0;
  for (int64_t i = 0; i < n; ++i) {
    if (!(f[i] < 1e300)) continue;
    const Site next{f[i], static_cast<int32_t>(i)};
    while (count >= 2 && hidden(sites[count - 2], sites[count - 1], next, step2)) --count;
    sites[count++] = next;
  }
  return count;
}

// The envelope at x; `current` is the site that was lowest at a smaller x (0 at first) and moves on.
RVX_PORTABLE inline double envelopeAt(const Site* sites, int64_t count, int64_t x, double step2,
                                      int64_t& current) {
  double best = parabola(sites[current], x, step2);
  while (current + 1 < count) {
    const double next = parabola(sites[current + 1], x, step2);
    if (next > best) break;
    best = next;
    ++current;
  }
  return best;
}

}  // namespace rvx
