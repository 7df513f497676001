#include "cpu/isa/fma_peak.h"

#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {

double multiplyAdd(int64_t steps) {
  // Ten chains and more hide the latency (4 or 5 cycles on 2 units).
  constexpr int kChains = kLanes == 16 ? 20 : 10;
  Vec sum[kChains];
  volatile float source = 0.9999f;
  const Vec factor = splat(source), term = splat(1 - source);
  for (int i = 0; i < kChains; ++i) sum[i] = splat(float(i));
  for (int64_t s = 0; s < steps * (40 / kChains); ++s)
#pragma GCC unroll 20
    for (int i = 0; i < kChains; ++i) sum[i] = fma(sum[i], factor, term);
  for (int i = 1; i < kChains; ++i) sum[0] += sum[i];
  source = sum[0][0];
  return double(steps) * 40 * 2 * kLanes;
}

}  // namespace rvx::RVX_ISA
