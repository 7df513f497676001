// Norms over space (instance norm) or over samples and space (batch norm), each followed by an
// optional leaky activation. Images are [N, ..., C].
//
// `statistics` [groups, C, 3] holds the mean rounded to float, the rest of it (mean - rounded), and
// 1 / sqrt(variance + eps): with the rest, x - mean keeps its digits where the mean is 10^4
// deviations away from zero.
#pragma once
#include "ops/operation.h"

namespace rvx {

// Checks x [N, ..., C] and its two channel vectors.
inline void requireNormInputs(const Input& x, const Input& gamma, const Input& beta) {
  require(x.shape().rank >= 2 && x.shape().size() > 0, "ShapeMismatch", [&] {
    return "Expected samples, space and channels for tensor x but received shape " +
           x.shape().text();
  });
  for (const Input* v : {&gamma, &beta}) {
    requireType(*v, DType::f32, "gamma or beta");
    requireShape(v->shape(), {x.shape()[-1]}, "gamma or beta");
  }
}

// y = leaky(gamma (x - mean) / sqrt(variance + eps) + beta); mean and (biased) variance over space,
// per sample and channel. slope 1 is no activation.
struct InstanceNorm {
  static constexpr const char* name = "instanceNorm";
  Input x, gamma, beta;
  Output y, statistics;
  double eps = 1e-5, slope = 1;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(gamma, "gamma"), v(beta, "beta"), v(y, "y"), v(statistics, "statistics"),
        v(eps, "eps"), v(slope, "slope");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    requireNormInputs(x, gamma, beta);
    y.like(x);
    statistics.is({x.shape()[0], x.shape()[-1], 3});
  }
};

// With xhat = (x - mean) rstd, g = dy leaky'(gamma xhat + beta):
// dbeta = sum g, dgamma = sum g xhat, dx = gamma rstd (g - mean(g) - xhat mean(g xhat)). x, dy and dx are of one type, f32, bf16 or f16.
// `sums` [N, C, 2], of g and g xhat, where another operation made them (Conv3dGradInput's `below`): dy is then not read for them.
// With onLoad there is no dx but what forms it from x and dy where it is loaded (math/norm.h, NormGradientChannel): `coefficients`
// [5, N, C], of which Conv3dGradInput and Conv3dGradWeight make the same dx as their `dy`.
struct InstanceNormGrad {
  static constexpr const char* name = "instanceNormGrad";
  Input x, dy, gamma, beta, statistics;
  OptionalInput sums;
  Output dx, dgamma, dbeta, coefficients;
  double slope = 1;
  bool onLoad = false;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(dy, "dy"), v(gamma, "gamma"), v(beta, "beta"), v(statistics, "statistics"),
        v(sums, "sums"), v(dx, "dx"), v(dgamma, "dgamma"), v(dbeta, "dbeta"),
        v(coefficients, "coefficients"), v(slope, "slope"), v(onLoad, "onLoad");
  }
  void infer() {
    requireFloat(x, "x");
    requireType(dy, x.dtype(), "dy");
    requireNormInputs(x, gamma, beta);
    requireShape(dy.shape(), x.shape(), "dy");
    const int64_t samples = x.shape()[0], channels = x.shape()[-1];
    requireShape(statistics.shape(), {samples, channels, 3}, "statistics");
    if (sums) {
      requireShape(sums.shape(), {samples, channels, 2}, "sums");
      requireType(sums, DType::f32, "sums");
    }
    dx.like(x);
    dx.wanted = !onLoad;
    dgamma.like(gamma);
    dbeta.like(beta);
    coefficients.is({5, samples, channels});
    coefficients.wanted = onLoad;
  }
};

// The norm of a convolution's output as the `scale` and `shift` [N, C] of the next one's load:
// sums [N, C, 2] are mean and M2 over `count` voxels; scale = gamma / sqrt(M2 / count + eps),
// shift = beta - mean scale. `statistics`, where wanted, is what InstanceNormGrad takes.
struct NormCoefficients {
  static constexpr const char* name = "normCoefficients";
  Input sums, gamma, beta;
  Output scale, shift, statistics;
  double count = 1, eps = 1e-5;
  bool wantStatistics = false;

  template <class V>
  void fields(V& v) {
    v(sums, "sums"), v(gamma, "gamma"), v(beta, "beta"), v(scale, "scale"), v(shift, "shift"),
        v(statistics, "statistics"), v(count, "count"), v(eps, "eps"),
        v(wantStatistics, "wantStatistics");
  }
  void infer() {
    requireRank(sums, 3, "sums");
    const Shape& s = sums.shape();
    requireShape(s, {s[0], s[1], 2}, "sums");
    requireShape(gamma.shape(), {s[1]}, "gamma");
    requireShape(beta.shape(), {s[1]}, "beta");
    scale.is({s[0], s[1]});
    shift.is({s[0], s[1]});
    statistics.is({s[0], s[1], 3});
    statistics.wanted = wantStatistics;
  }
};

// As InstanceNorm with statistics over samples and space. Training: the batch's own, and
// running = (1 - momentum) running + momentum new, with the unbiased variance. Else the running ones.
struct BatchNorm {
  static constexpr const char* name = "batchNorm";
  Input x, gamma, beta;
  InOut runningMean, runningVar;
  Output y, statistics;
  bool training = false;
  double momentum = 0.1, eps = 1e-5, slope = 1;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(gamma, "gamma"), v(beta, "beta"), v(runningMean, "runningMean"),
        v(runningVar, "runningVar"), v(y, "y"), v(statistics, "statistics"),
        v(training, "training"), v(momentum, "momentum"), v(eps, "eps"), v(slope, "slope");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    requireNormInputs(x, gamma, beta);
    requireShape(runningMean.shape(), gamma.shape(), "runningMean");
    requireShape(runningVar.shape(), gamma.shape(), "runningVar");
    y.like(x);
    statistics.is({1, x.shape()[-1], 3});
  }
};

// As InstanceNormGrad over samples and space; without training the statistics are constants and
// dx = gamma rstd g.
struct BatchNormGrad {
  static constexpr const char* name = "batchNormGrad";
  Input x, dy, gamma, beta, statistics;
  Output dx, dgamma, dbeta;
  bool training = false;
  double slope = 1;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(dy, "dy"), v(gamma, "gamma"), v(beta, "beta"), v(statistics, "statistics"),
        v(dx, "dx"), v(dgamma, "dgamma"), v(dbeta, "dbeta"), v(training, "training"),
        v(slope, "slope");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    requireType(dy, DType::f32, "dy");
    requireNormInputs(x, gamma, beta);
    requireShape(dy.shape(), x.shape(), "dy");
    requireShape(statistics.shape(), {1, x.shape()[-1], 3}, "statistics");
    dx.like(x);
    dgamma.like(gamma);
    dbeta.like(beta);
  }
};

// A batch norm in eval mode as what is applied while loading, for each of `samples` samples: scale = gamma / sqrt(variance + eps),
// shift = beta - mean scale.
struct BatchNormCoefficients {
  static constexpr const char* name = "batchNormCoefficients";
  Input gamma, beta, runningMean, runningVar;
  Output scale, shift;
  int64_t samples = 1;
  double eps = 1e-5;

  template <class V>
  void fields(V& v) {
    v(gamma, "gamma"), v(beta, "beta"), v(runningMean, "runningMean"), v(runningVar, "runningVar"),
        v(scale, "scale"), v(shift, "shift"), v(samples, "samples"), v(eps, "eps");
  }
  void infer() {
    requireRank(gamma, 1, "gamma");
    for (const Input* v : {&beta, &runningMean, &runningVar})
      requireShape(v->shape(), gamma.shape(), "channel vector");
    scale.is({samples, gamma.shape()[0]});
    shift.is({samples, gamma.shape()[0]});
  }
};

// Folds a batch norm in eval mode into the convolution before it: with a = gamma / sqrt(variance +
// eps) per output channel, foldedWeight = a weight, foldedBias = a (bias - mean) + beta.
struct FoldBatchNorm {
  static constexpr const char* name = "foldBatchNorm";
  Input weight;
  OptionalInput bias;
  Input gamma, beta, runningMean, runningVar;
  Output foldedWeight, foldedBias;
  double eps = 1e-5;

  template <class V>
  void fields(V& v) {
    v(weight, "weight"), v(bias, "bias"), v(gamma, "gamma"), v(beta, "beta"),
        v(runningMean, "runningMean"), v(runningVar, "runningVar"), v(foldedWeight, "foldedWeight"),
        v(foldedBias, "foldedBias"), v(eps, "eps");
  }
  void infer() {
    for (const Input* v : {&gamma, &beta, &runningMean, &runningVar})
      requireShape(v->shape(), {weight.shape()[0]}, "channel vector");
    if (bias) requireShape(bias.shape(), {weight.shape()[0]}, "bias");
    foldedWeight.like(weight);
    foldedBias.is({weight.shape()[0]});
  }
};

using NormOperations = OperationList<InstanceNorm, InstanceNormGrad, NormCoefficients, BatchNorm,
                                     BatchNormGrad, BatchNormCoefficients, FoldBatchNorm>;

}  // namespace rvx
