// The first two passes of the exact distance transform, shared by distanceTransform and
// surfaceDistances: along w by counting, along h by lower envelopes of blocks of columns.
#pragma once
#include <algorithm>
#include <cstdint>
#include <limits>

#include "core/pool.h"
#include "math/envelope.h"

namespace rvx::cpu {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
// Columns that are turned into lines together: one cache line of doubles.
constexpr int64_t kColumns = 8;

// out[w] = step2 * (w - nearest site)^2, infinite without a site. isSite(w).
template <class IsSite>
void distancesInRow(int64_t width, double step2, double* out, IsSite&& isSite) {
  int64_t last = -1;
  for (int64_t w = 0; w < width; ++w) {
    if (isSite(w)) last = w;
    const auto k = static_cast<double>(w - last);
    out[w] = last < 0 ? kInfinity : step2 * (k * k);
  }
  if (last < 0) return;
  for (int64_t w = last, next = last; w >= 0; --w) {
    if (out[w] == 0) next = w;
    const auto k = static_cast<double>(next - w);
    out[w] = std::min(out[w], step2 * (k * k));
  }
}

// Lower envelopes of up to kColumns adjacent columns of one thread. Columns are turned into lines and
// back by whole cache lines: their elements lie a power of two apart as often as not, which caches
// take badly.
class ColumnEnvelopes {
 public:
  explicit ColumnEnvelopes(int64_t length) : length_(length), pitch_(length + kColumns) {
    lines_ = static_cast<double*>(
        threadScratch(1, static_cast<size_t>(kColumns * pitch_) * sizeof(double)));
    sites_ = static_cast<Site*>(threadScratch(2, static_cast<size_t>(length) * sizeof(Site)));
  }

  // Element i of column c is f[i * stride + c]. Evaluates the envelope where used(c) and wanted(i,
  // c); at() is f elsewhere.
  template <class Used, class Wanted>
  void compute(const double* f, int64_t stride, int64_t columns, double step2, Used&& used,
               Wanted&& wanted) {
    for (int64_t i = 0; i < length_; ++i)
      for (int64_t c = 0; c < columns; ++c) lines_[c * pitch_ + i] = f[i * stride + c];
    for (int64_t c = 0; c < columns; ++c) {
      if (!used(c)) continue;
      double* line = lines_ + c * pitch_;
      const int64_t count = lowerEnvelope(line, length_, step2, sites_);
      int64_t current = 0;
      for (int64_t i = 0; i < length_; ++i)
        if (wanted(i, c))
          line[i] = count == 0 ? kInfinity : envelopeAt(sites_, count, i, step2, current);
    }
  }
  void compute(const double* f, int64_t stride, int64_t columns, double step2) {
    compute(
        f, stride, columns, step2, [](int64_t) { return true; },
        [](int64_t, int64_t) { return true; });
  }
  double at(int64_t i, int64_t c) const { return lines_[c * pitch_ + i]; }

 private:
  int64_t length_, pitch_;
  double* lines_;
  Site* sites_;
};

}  // namespace rvx::cpu
