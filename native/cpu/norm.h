// What instance norm and batch norm share: statistics, application and gradient over `groups` blocks
// of [voxels, channels]. Instance norm has one group a sample, batch norm one in all.
#pragma once
#include <cstdint>

#include "core/isa.h"
#include "ops/operation.h"

namespace rvx::cpu {

struct NormShape {
  int64_t groups, voxels, channels;
};
// Of an instance norm of [N, ..., C].
inline NormShape perSample(const Shape& s) { return {s[0], s.size() / (s[0] * s[-1]), s[-1]}; }

// sums [groups, C, 2]: mean and M2 (sum of squared deviations), in double.
void normSums(const float* x, NormShape shape, double* sums, Context& cx);
// statistics [groups, C, 3] (see ops/norms.h) of mean and M2.
void normStatistics(const double* sums, NormShape shape, double eps, float* statistics);
// y = leaky(gamma xhat + beta).
void normApply(const float* x, NormShape shape, const float* statistics, const float* gamma,
               const float* beta, float slope, float* y);

struct NormGradient {
  const float *x, *dy, *statistics, *gamma, *beta;
  float slope;
  bool constantStatistics;
};
// sums [groups, C, 2]: of g = dy leaky'(gamma xhat + beta) and of g xhat, in double.
void gradientSums(const NormGradient& g, NormShape shape, double* sums, Context& cx);
// From those: dgamma and dbeta, and coefficients [5, groups, C], the NormGradientChannels of math/norm.h.
void gradientCoefficients(const NormGradient& g, NormShape shape, const double* sums,
                          float* coefficients, float* dgamma, float* dbeta);
// dx of them.
void formGradient(const float* x, const float* dy, NormShape shape, const float* coefficients,
                  float slope, float* dx);
// All of it.
void normGradient(const NormGradient& g, NormShape shape, float* dx, float* dgamma, float* dbeta,
                  Context& cx);

// Tables of one period for a chunk of the gradient.
struct NormTables {
  const float *mean, *scale, *shift;  // z = (x - mean) scale + shift
  const float *a, *b, *d;             // dx = a g + ((x - mean) b + d)
};

RVX_ISA_DECLARE(
    // Adds x to row, place by place.
    void normAdd(const float* x, int64_t count, int64_t period, float* row);
    // Adds x - mean and (x - mean)^2.
    void normDeviations(const float* x, int64_t count, int64_t period, const float* mean,
                        float* first, float* second);
    void normForward(const float* x, int64_t count, int64_t period, const NormTables& tables,
                     float slope, float* y);
    // Adds g and g (x - mean).
    void normGradientSums(const float* x, const float* dy, int64_t count, int64_t period,
                          const NormTables& tables, float slope, float* first, float* second);
    void normGradientApply(const float* x, const float* dy, int64_t count, int64_t period,
                           const NormTables& tables, float slope, float* dx);)

}  // namespace rvx::cpu
