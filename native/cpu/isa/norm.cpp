// The loops of the norms over rows of one period (cpu/channels.h). All are bound by memory; the
// compiler vectorises the inner loop, whose length is a multiple of 16 below 128 channels.
// GCC leaves loops with a choice (x > 0 ? x : slope * x) scalar unless no operation may trap.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/norm.h"

#include "math/activation.h"
#include "math/norm.h"

#ifndef RVX_ISA
#error "compiled once per instruction set"
#endif

namespace rvx::cpu::RVX_ISA {
namespace {

// Calls row(offset, length) for every row; the last may be shorter.
template <class Row>
inline void rows(int64_t count, int64_t period, Row&& row) {
  int64_t at = 0;
  for (; at + period <= count; at += period) row(at, period);
  if (at < count) row(at, count - at);
}

}  // namespace

void normAdd(const float* x, int64_t count, int64_t period, float* __restrict row) {
  rows(count, period, [=](int64_t at, int64_t length) {
    const float* p = x + at;
    for (int64_t j = 0; j < length; ++j) row[j] += p[j];
  });
}

void normDeviations(const float* x, int64_t count, int64_t period, const float* mean,
                    float* __restrict first, float* __restrict second) {
  rows(count, period, [=](int64_t at, int64_t length) {
    const float* p = x + at;
    for (int64_t j = 0; j < length; ++j) {
      const float t = p[j] - mean[j];
      first[j] += t;
      second[j] += t * t;
    }
  });
}

void normForward(const float* x, int64_t count, int64_t period, const NormTables& tables,
                 float slope, float* y) {
  const NormTables k = tables;
  rows(count, period, [=](int64_t at, int64_t length) {
    const float* p = x + at;
    float* __restrict q = y + at;
    for (int64_t j = 0; j < length; ++j)
      q[j] = leakyRelu(normalised(p[j] - k.mean[j], k.scale[j], k.shift[j]), slope);
  });
}

void normGradientSums(const float* x, const float* dy, int64_t count, int64_t period,
                      const NormTables& tables, float slope, float* __restrict first,
                      float* __restrict second) {
  const NormTables k = tables;
  rows(count, period, [=](int64_t at, int64_t length) {
    const float *p = x + at, *r = dy + at;
    for (int64_t j = 0; j < length; ++j) {
      const float t = p[j] - k.mean[j];
      const float g = leakyReluGrad(normalised(t, k.scale[j], k.shift[j]), r[j], slope);
      first[j] += g;
      second[j] += g * t;
    }
  });
}

void normGradientApply(const float* x, const float* dy, int64_t count, int64_t period,
                       const NormTables& tables, float slope, float* dx) {
  const NormTables k = tables;
  rows(count, period, [=](int64_t at, int64_t length) {
    const float *p = x + at, *r = dy + at;
    float* __restrict q = dx + at;
    for (int64_t j = 0; j < length; ++j) {
      const float t = p[j] - k.mean[j];
      const float g = leakyReluGrad(normalised(t, k.scale[j], k.shift[j]), r[j], slope);
      q[j] = normalisedGradient(g, t, k.a[j], k.b[j], k.d[j]);
    }
  });
}

}  // namespace rvx::cpu::RVX_ISA
