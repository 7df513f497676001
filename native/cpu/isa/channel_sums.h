// Statistics of a vector of channels while their values are stored.
#pragma once
#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {

// Sums of a channel's values about its first, so that no digit is lost where the mean is far greater
// than the deviation.
struct ChannelSums {
  Vec first{}, sum{}, squares{};
  int64_t count = 0;

  void add(const Vec* v, int64_t n) {
    if (!count) first = v[0];
    count += n;
    Vec s{}, q{};
    for (int64_t i = 0; i < n; ++i) {
      const Vec d = v[i] - first;
      s += d;
      q = fma(d, d, q);
    }
    sum += s;
    squares += q;
  }
  void finish(float* mean, float* m2) const {
    const Vec n = splat(float(count)), rest = sum / n, m = squares - rest * sum;
    store(mean, first + rest);
    store(m2, m > Vec{} ? m : Vec{});
  }
};

}  // namespace rvx::RVX_ISA
