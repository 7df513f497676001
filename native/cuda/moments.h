// Count, mean and M2 (sum of squared deviations) of a set of values, and of the union of two sets (T. F. Chan, G. H. Golub, R. J.
// LeVeque, "Updating formulae and a pairwise algorithm for computing sample variances", 1979).
#pragma once
#include "cuda/kernel.h"

namespace rvx::cuda {

template <class F>
struct Moments {
  F count, mean, m2;
};
template <class F>
RVX_DEVICE Moments<F> merged(const Moments<F>& a, const Moments<F>& b) {
  const F count = a.count + b.count;
  if (count == 0) return a;
  const F delta = b.mean - a.mean, share = b.count / count;
  return {count, a.mean + delta * share, a.m2 + b.m2 + delta * delta * a.count * share};
}

}  // namespace rvx::cuda
