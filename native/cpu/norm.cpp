// Norm statistics, application and gradient; formulas in ops/norms.h.
//
// Statistics: each chunk of about 16 K values is read twice while it lies in the cache (mean, then
// deviations from it, the second sum correcting the first), and chunks are merged in double in their
// order (T. F. Chan, G. H. Golub, R. J. LeVeque, "Updating formulae and a pairwise algorithm for
// computing sample variances", 1979). So a mean of 10^4 deviations loses nothing.
// Least bytes from memory, in units of x: statistics 1, application 2, gradient 5.
#include "cpu/norm.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "core/pool.h"
#include "cpu/channels.h"
#include "math/norm.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kSumChunk = 1 << 14, kApplyChunk = 1 << 16;

// Chunks of every group; chunk numbers run over all groups.
struct Chunks {
  NormShape shape;
  int64_t voxels, perGroup;

  Chunks(NormShape s, int64_t floats)
      : shape(s),
        voxels(channelChunk(s.channels, floats)),
        perGroup((s.voxels + voxels - 1) / voxels) {}
  int64_t total() const { return shape.groups * perGroup; }
  int64_t group(int64_t chunk) const { return chunk / perGroup; }
  int64_t sizeOf(int64_t chunk) const {
    return std::min(voxels, shape.voxels - chunk % perGroup * voxels);
  }
  int64_t offset(int64_t chunk) const {
    return (group(chunk) * shape.voxels + chunk % perGroup * voxels) * shape.channels;
  }
};

ChannelNorm normOf(const float* statistics, const float* gamma, const float* beta, int64_t c) {
  return channelNorm(statistics + 3 * c, gamma[c], beta[c]);
}

// mean, scale and shift of one group, repeated over the period. Slot 0 of the thread's scratch.
NormTables forwardTables(const float* statistics, const float* gamma, const float* beta,
                         int64_t channels, float* tables) {
  const int64_t period = channelPeriod(channels);
  repeatChannels(tables, channels, [&](int64_t c) { return statistics[3 * c]; });
  repeatChannels(tables + period, channels,
                 [&](int64_t c) { return normOf(statistics, gamma, beta, c).scale(); });
  repeatChannels(tables + 2 * period, channels,
                 [&](int64_t c) { return normOf(statistics, gamma, beta, c).shift(); });
  return {tables, tables + period, tables + 2 * period, nullptr, nullptr, nullptr};
}

}  // namespace

void normSums(const float* x, NormShape shape, double* sums, Context& cx) {
  const int64_t channels = shape.channels, period = channelPeriod(channels);
  const Chunks chunks(shape, kSumChunk);
  Workspace parts(cx, static_cast<size_t>(chunks.total() * channels * 2) * sizeof(double));
  parallelFor(chunks.total(), [&](int64_t chunk) {
    const int64_t n = chunks.sizeOf(chunk);
    const float* from = x + chunks.offset(chunk);
    double* part = parts.data<double>() + chunk * channels * 2;
    auto* rows = static_cast<float*>(threadScratch(0, static_cast<size_t>(3 * period) * 4));
    auto* folded = static_cast<double*>(threadScratch(1, static_cast<size_t>(2 * channels) * 8));
    float *mean = rows, *first = rows + period, *second = rows + 2 * period;
    std::fill(rows, rows + 3 * period, 0.0f);
    RVX_ISA_CALL(normAdd)(from, n * channels, period, first);
    foldChannels(first, channels, folded);
    repeatChannels(mean, channels, [&](int64_t c) { return folded[c] / static_cast<double>(n); });
    std::fill(first, first + period, 0.0f);
    RVX_ISA_CALL(normDeviations)(from, n * channels, period, mean, first, second);
    foldChannels(first, channels, folded);
    foldChannels(second, channels, folded + channels);
    for (int64_t c = 0; c < channels; ++c) {
      const double s = folded[c], q = folded[channels + c], count = static_cast<double>(n);
      part[2 * c] = static_cast<double>(mean[c]) + s / count;
      part[2 * c + 1] = std::max(0.0, q - s * s / count);
    }
  });
  parallelFor(shape.groups, [&](int64_t g) {
    double* sum = sums + g * channels * 2;
    std::fill(sum, sum + 2 * channels, 0.0);
    double before = 0;
    for (int64_t i = 0; i < chunks.perGroup; ++i) {
      const int64_t chunk = g * chunks.perGroup + i;
      const double* part = parts.data<double>() + chunk * channels * 2;
      const auto n = static_cast<double>(chunks.sizeOf(chunk));
      const double share = n / (before + n), weight = before * share;
      for (int64_t c = 0; c < channels; ++c) {
        const double delta = part[2 * c] - sum[2 * c];
        sum[2 * c] += delta * share;
        sum[2 * c + 1] += part[2 * c + 1] + delta * delta * weight;
      }
      before += n;
    }
  });
}

void normStatistics(const double* sums, NormShape shape, double eps, float* statistics) {
  for (int64_t i = 0; i < shape.groups * shape.channels; ++i)
    storeStatistics(statistics + 3 * i, sums[2 * i],
                    sums[2 * i + 1] / static_cast<double>(shape.voxels), eps);
}

void normApply(const float* x, NormShape shape, const float* statistics, const float* gamma,
               const float* beta, float slope, float* y) {
  const int64_t channels = shape.channels, period = channelPeriod(channels);
  const Chunks chunks(shape, kApplyChunk);
  parallelFor(chunks.total(), [&](int64_t chunk) {
    auto* memory = static_cast<float*>(threadScratch(0, static_cast<size_t>(3 * period) * 4));
    const NormTables tables = forwardTables(statistics + 3 * channels * chunks.group(chunk), gamma,
                                            beta, channels, memory);
    const int64_t at = chunks.offset(chunk);
    RVX_ISA_CALL(normForward)
    (x + at, chunks.sizeOf(chunk) * channels, period, tables, slope, y + at);
  });
}

void gradientSums(const NormGradient& g, NormShape shape, double* sums, Context& cx) {
  const int64_t channels = shape.channels, period = channelPeriod(channels);
  // Sums of g and g (x - rounded mean), per chunk, then per group.
  const Chunks chunks(shape, 2 * kSumChunk);
  Workspace parts(cx, static_cast<size_t>(chunks.total() * channels * 2) * sizeof(double));
  parallelFor(chunks.total(), [&](int64_t chunk) {
    auto* memory = static_cast<float*>(threadScratch(0, static_cast<size_t>(5 * period) * 4));
    const NormTables tables = forwardTables(g.statistics + 3 * channels * chunks.group(chunk),
                                            g.gamma, g.beta, channels, memory);
    float *first = memory + 3 * period, *second = memory + 4 * period;
    std::fill(first, first + 2 * period, 0.0f);
    const int64_t at = chunks.offset(chunk);
    RVX_ISA_CALL(normGradientSums)
    (g.x + at, g.dy + at, chunks.sizeOf(chunk) * channels, period, tables, g.slope, first, second);
    double* part = parts.data<double>() + chunk * channels * 2;
    foldChannels(first, channels, part);
    foldChannels(second, channels, part + channels);
  });
  parallelFor(shape.groups, [&](int64_t group) {
    std::vector<double> all(static_cast<size_t>(2 * channels), 0.0);
    for (int64_t i = 0; i < chunks.perGroup; ++i) {
      const double* part = parts.data<double>() + (group * chunks.perGroup + i) * channels * 2;
      for (int64_t c = 0; c < 2 * channels; ++c) all[static_cast<size_t>(c)] += part[c];
    }
    double* sum = sums + group * channels * 2;
    for (int64_t c = 0; c < channels; ++c) {
      const ChannelNorm k = normOf(g.statistics + 3 * channels * group, g.gamma, g.beta, c);
      const double first = all[static_cast<size_t>(c)];
      sum[2 * c] = first;
      sum[2 * c + 1] = k.sumOfProducts(first, all[static_cast<size_t>(channels + c)]);
    }
  });
}

void gradientCoefficients(const NormGradient& g, NormShape shape, const double* sums,
                          float* coefficients, float* dgamma, float* dbeta) {
  const int64_t channels = shape.channels, size = shape.groups * channels;
  const double share = g.constantStatistics ? 0 : 1 / static_cast<double>(shape.voxels);
  for (int64_t c = 0; c < channels; ++c) {
    double first = 0, second = 0;
    for (int64_t i = c; i < size; i += channels) {
      first += sums[2 * i], second += sums[2 * i + 1];
      const NormGradientChannel k =
          gradientChannel(normOf(g.statistics + 3 * (i - c), g.gamma, g.beta, c),
                          sums[2 * i] * share, sums[2 * i + 1] * share);
      const float plane[5] = {k.mean, k.scale, k.shift, k.rate, k.offset};
      for (int64_t p = 0; p < 5; ++p) coefficients[p * size + i] = plane[p];
    }
    dbeta[c] = static_cast<float>(first);
    dgamma[c] = static_cast<float>(second);
  }
}

void formGradient(const float* x, const float* dy, NormShape shape, const float* coefficients,
                  float slope, float* dx) {
  const int64_t channels = shape.channels, period = channelPeriod(channels);
  const int64_t size = shape.groups * channels;
  const Chunks applied(shape, kApplyChunk);
  parallelFor(applied.total(), [&](int64_t chunk) {
    const float* own = coefficients + applied.group(chunk) * channels;
    auto* memory = static_cast<float*>(threadScratch(0, static_cast<size_t>(5 * period) * 4));
    for (int64_t p = 0; p < 5; ++p)
      repeatChannels(memory + p * period, channels, [&](int64_t c) { return own[p * size + c]; });
    const float* scale = memory + period;
    const NormTables tables{
        memory, scale, memory + 2 * period, scale, memory + 3 * period, memory + 4 * period};
    const int64_t at = applied.offset(chunk);
    RVX_ISA_CALL(normGradientApply)
    (x + at, dy + at, applied.sizeOf(chunk) * channels, period, tables, slope, dx + at);
  });
}

void normGradient(const NormGradient& g, NormShape shape, float* dx, float* dgamma, float* dbeta,
                  Context& cx) {
  const auto channels = static_cast<size_t>(shape.groups * shape.channels);
  const Workspace sums(cx, 2 * channels * sizeof(double));
  const Workspace coefficients(cx, 5 * channels * sizeof(float));
  gradientSums(g, shape, sums.data<double>(), cx);
  gradientCoefficients(g, shape, sums.data<double>(), coefficients.data(), dgamma, dbeta);
  formGradient(g.x, g.dy, shape, coefficients.data(), g.slope, dx);
}

}  // namespace rvx::cpu
