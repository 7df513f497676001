// What instance norm and batch norm share, over groups of [voxels, C]: instance norm has one group a sample, batch norm one in all.
#pragma once
#include "cuda/launch.h"

namespace rvx::cuda {

struct NormForward {
  const Input &x, &gamma, &beta;
  int64_t groups;
  double eps, slope;
  float *statistics, *y;
  // Of batch norm, else null; in training renewed by their share `momentum`.
  float *runningMean, *runningVar;
  double momentum;
};
// With the statistics of x itself.
void normForward(const char* name, const NormForward& norm, Context& cx);
// With the running statistics.
void normFixed(const char* name, const NormForward& norm, Context& cx);

struct NormGradient {
  const Input &x, &dy, &gamma, &beta, &statistics;
  int64_t groups;
  double slope;
  bool constantStatistics;
};
// `sums` [groups, C, 2], of g and g xhat: from x and dy, in double from a chunk on.
template <class T>
void gradientSums(const char* name, const NormGradient& norm, T* sums, Context& cx);
// From those: dgamma and dbeta, and coefficients [5, groups, C] as InstanceNormGrad's.
template <class T>
void gradientCoefficients(const char* name, const NormGradient& norm, const T* sums,
                          float* coefficients, float* dgamma, float* dbeta, Context& cx);
// dx of them; of x's type, as dy.
void formGradient(const char* name, const Input& x, const Input& dy, int64_t groups,
                  const float* coefficients, double slope, void* dx, Context& cx);
// All of it.
void normGradient(const char* name, const NormGradient& norm, void* dx, float* dgamma, float* dbeta,
                  Context& cx);

// [groups, C] of (mean, scale, shift, 0): z = (x - mean) scale + shift.
void makeNormTable(const char* name, const Input& statistics, const Input& gamma, const Input& beta,
                   float4* table, Context& cx);

}  // namespace rvx::cuda
