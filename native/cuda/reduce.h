// Sums, minima and maxima over a block in a fixed order, so that the bits never change.
#pragma once
#include "cuda/kernel.h"

namespace rvx::cuda {

struct Plus {
  template <class T>
  RVX_DEVICE T operator()(T a, T b) const {
    return a + b;
  }
};
struct Minimum {
  template <class T>
  RVX_DEVICE T operator()(T a, T b) const {
    return b < a ? b : a;
  }
};
struct Maximum {
  template <class T>
  RVX_DEVICE T operator()(T a, T b) const {
    return a < b ? b : a;
  }
};

// By all lanes together; every lane gets the result. The tree's order is fixed.
template <class F, class T>
RVX_DEVICE T reduceWarp(T value, F f = F()) {
  for (int by = 16; by > 0; by >>= 1) value = f(value, shuffleXor(value, by));
  return value;
}

// By all threads of the block together; every thread gets the result. `scratch` is shared memory for 32 values that nothing
// else uses between here and the next barrier; it may be used again after one.
template <class F, class T>
RVX_DEVICE T reduceBlock(T value, T identity, T* scratch, F f = F()) {
  const unsigned lane = threadIdx.x % 32, warp = threadIdx.x / 32, warps = (blockDim.x + 31) / 32;
  value = reduceWarp(value, f);
  if (lane == 0) sts(scratch + warp, value);
  syncBlock();
  value = lane < warps ? lds(scratch + lane) : identity;
  value = reduceWarp(value, f);
  syncBlock();
  return value;
}
template <class T>
RVX_DEVICE T sumBlock(T value, T* scratch) {
  return reduceBlock<Plus>(value, T{0}, scratch);
}

}  // namespace rvx::cuda
