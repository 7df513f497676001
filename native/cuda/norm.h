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
  void* dx;  // of x's type, as dy
  float *dgamma, *dbeta;
};
void normGradient(const char* name, const NormGradient& norm, Context& cx);

}  // namespace rvx::cuda
