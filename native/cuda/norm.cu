// Norms over groups of [voxels, C] and their gradient; formulas in ops/norms.h, per value and channel in math/norm.h.
//
// Forward: moments (channelSums.h), whose last step also writes what the application needs of a channel; then the application.
// Gradient: a table of channels; sums of g and g (x - mean) by chunk, in float, then in double in a fixed order; dgamma, dbeta and what
// forms dx (NormGradientChannel) from the groups' sums; the application. Values are walked as channelWalk.h says, so a thread loads its channels' figures once.
// About 8 FLOPs a value forward, 15 in the gradient. Least bytes, in units of x: statistics 1, application 2, gradient 5.
// Source: the merging of moments of Chan, Golub, LeVeque 1979 (moments.h).
//
// Limits: forward f32 alone, gradient f32, bf16 or f16; up to 65535 x 256 channels (channelWalk.h, checked). Workspace: 16 bytes a channel and
// chunk, chunks up to about 1024 in all, more of large tensors. The gradient's coefficients take one thread a channel, over all samples in turn.
#include "cuda/channelSums.h"
#include "cuda/norm.h"
#include "math/activation.h"
#include "math/norm.h"

namespace rvx::cuda {
namespace {

// Packets of a thread on their way at once, and at most.
constexpr int kForwardBatch = 4, kGradientBatch = 2, kApplyRounds = 8;

RVX_DEVICE ChannelNorm normAt(const float* statistics, int64_t at, float gamma, float beta) {
  const float* from = statistics + 3 * at;
  const float three[3] = {ld(from), ld(from + 1), ld(from + 2)};
  return channelNorm(three, gamma, beta);
}
// (x - mean) scale + shift of one channel of a group; `w` is not used.
RVX_DEVICE float4 entry(const float* statistics, float gamma, float beta) {
  const ChannelNorm k = normAt(statistics, 0, gamma, beta);
  return make_float4(static_cast<float>(k.mean), static_cast<float>(k.scale()),
                     static_cast<float>(k.shift()), 0);
}

RVX_DEVICE void writeStatistics(float* statistics, double mean, double variance, double eps) {
  float three[3];
  storeStatistics(three, mean, variance, eps);
  for (int i = 0; i < 3; ++i) st(statistics + i, three[i]);
}

struct FinishForward {
  const float *gamma, *beta;
  float* statistics;
  float4* table;
  double eps, momentum;
  float *runningMean, *runningVar;

  RVX_DEVICE void operator()(int64_t at, int c, const Moments<double>& all) const {
    float* three = statistics + 3 * at;
    writeStatistics(three, all.mean, all.m2 / all.count, eps);
    st(table + at, entry(three, ld(gamma + c), ld(beta + c)));
    if (!runningMean) return;
    const double keep = 1 - momentum, unbiased = all.m2 / (all.count - 1);
    st(runningMean + c, static_cast<float>(keep * ld(runningMean + c) + momentum * all.mean));
    st(runningVar + c, static_cast<float>(keep * ld(runningVar + c) + momentum * unbiased));
  }
};

RVX_KERNEL(kWalkThreads) fixedTable(FinishForward norm, int channels) {
  const int c = static_cast<int>(blockIdx.x) * kWalkThreads + static_cast<int>(threadIdx.x);
  if (c >= channels) return;
  float* three = norm.statistics + int64_t{3} * c;
  writeStatistics(three, ld(norm.runningMean + c), ld(norm.runningVar + c), norm.eps);
  st(norm.table + c, entry(three, ld(norm.gamma + c), ld(norm.beta + c)));
}

RVX_KERNEL(kWalkThreads)
normTable(const float* statistics, const float* gamma, const float* beta, int64_t count,
          int channels, float4* table) {
  const int64_t at = int64_t{blockIdx.x} * kWalkThreads + threadIdx.x;
  if (at >= count) return;
  const auto c = static_cast<int>(at % channels);
  st(table + at, entry(statistics + 3 * at, ld(gamma + c), ld(beta + c)));
}

template <int N>
RVX_KERNEL(kWalkThreads)
applyNorm(const float* x, ChannelWalk w, const float4* table, float slope, float* y) {
  constexpr int kB = kForwardBatch;
  const WalkPlace<N> place(w);
  float4 k[N];
  RVX_UNROLL
  for (int i = 0; i < N; ++i) k[i] = ld(table + place.channelOfGroup(i));
  for (int64_t at = place.at; at < place.end; at += kB * w.stride) {
    Packet<float, N> v[kB];
    loadPackets(x, at, w.stride, place.end, v);
    RVX_UNROLL
    for (int b = 0; b < kB; ++b) {
      RVX_UNROLL
      for (int i = 0; i < N; ++i)
        v[b].value[i] = leakyRelu(normalised(v[b].value[i] - k[i].x, k[i].y, k[i].z), slope);
      storePacket(y, at + b * w.stride, place.end, v[b]);
    }
  }
}

void launchApply(const char* name, const NormForward& n, const float4* table, Context& cx) {
  const ChannelWalk w(n.x.shape(), n.groups, kForwardBatch, kApplyRounds);
  launch(cx, name, w.blocks(), w.threads(), 0, w.packet == 4 ? &applyNorm<4> : &applyNorm<1>,
         n.x.data(), w, table, static_cast<float>(n.slope), n.y);
}

FinishForward finishOf(const NormForward& n, const Workspace& table) {
  return {n.gamma.data(), n.beta.data(), n.statistics,  table.data<float4>(),
          n.eps,          n.momentum,    n.runningMean, n.runningVar};
}

size_t tableBytes(const Input& x, int64_t groups, size_t entryBytes) {
  return static_cast<size_t>(groups * x.shape()[-1]) * entryBytes;
}

// ---- gradient

template <class T, int N>
RVX_KERNEL(kWalkThreads)
chunkGradients(const T* x, const T* dy, ChannelWalk w, const float4* table, float slope,
               double* parts) {
  constexpr int kB = 4;
  const WalkPlace<N> place(w);
  float4 k[N];
  RVX_UNROLL
  for (int i = 0; i < N; ++i) k[i] = ld(table + place.channelOfGroup(i));
  Packet<float, N> first{}, second{};
  for (int64_t at = place.at; at < place.end; at += kB * w.stride) {
    Packet<float, N> v[kB], r[kB];
    loadPackets(x, at, w.stride, place.end, v);
    // Zeros beyond the end, which add nothing.
    loadPackets(dy, at, w.stride, place.end, r);
    RVX_UNROLL
    for (int b = 0; b < kB; ++b) {
      RVX_UNROLL
      for (int i = 0; i < N; ++i) {
        const float t = v[b].value[i] - k[i].x;
        const float g = leakyReluGrad(normalised(t, k[i].y, k[i].z), r[b].value[i], slope);
        first.value[i] += g;
        second.value[i] = fma(g, t, second.value[i]);
      }
    }
  }
  float* sums = sharedMemory<float>();
  const int apart = N * w.active;
  shareSums(sums, w, first);
  shareSums(sums + apart, w, second);
  syncBlock();
  foldRows<2>(sums, apart, w.rows(), place.width);
  for (int j = static_cast<int>(threadIdx.x); j < place.width && place.tile + j < w.channels;
       j += static_cast<int>(blockDim.x))
    storePart(parts, int64_t{blockIdx.x} * w.channels + place.tile + j, lds(sums + j),
              lds(sums + apart + j));
}

template <class T>
struct FinishGradient {
  const float *statistics, *gamma, *beta;
  T* sums;  // of g and g xhat

  RVX_DEVICE void operator()(int64_t at, int c, const Moments<double>& all) const {
    const ChannelNorm k = normAt(statistics, at, ld(gamma + c), ld(beta + c));
    st(sums + 2 * at, static_cast<T>(all.mean));
    st(sums + 2 * at + 1, static_cast<T>(k.sumOfProducts(all.mean, all.m2)));
  }
};

// A thread a channel of all groups. `share`: 1 / voxels of a group, 0 where the statistics are constants.
template <class T>
RVX_KERNEL(kWalkThreads)
fillCoefficients(const T* sums, const float* statistics, const float* gamma, const float* beta,
                 int64_t groups, int channels, double share, float* coefficients, float* dgamma,
                 float* dbeta) {
  const int c = static_cast<int>(blockIdx.x) * kWalkThreads + static_cast<int>(threadIdx.x);
  if (c >= channels) return;
  const int64_t plane = groups * channels;
  const float g = ld(gamma + c), b = ld(beta + c);
  double first = 0, second = 0;
  for (int64_t at = c; at < plane; at += channels) {
    const double one = ld(sums + 2 * at), two = ld(sums + 2 * at + 1);
    first += one;
    second += two;
    const NormGradientChannel k =
        gradientChannel(normAt(statistics, at, g, b), one * share, two * share);
    st(coefficients + at, k.mean);
    st(coefficients + plane + at, k.scale);
    st(coefficients + 2 * plane + at, k.shift);
    st(coefficients + 3 * plane + at, k.rate);
    st(coefficients + 4 * plane + at, k.offset);
  }
  st(dbeta + c, static_cast<float>(first));
  st(dgamma + c, static_cast<float>(second));
}

template <class T, int N>
RVX_KERNEL(kWalkThreads)
applyGradient(const T* x, const T* dy, ChannelWalk w, const float* coefficients, float slope,
              T* dx) {
  constexpr int kB = kGradientBatch;
  const WalkPlace<N> place(w);
  const int64_t plane = w.groups * w.channels;
  NormGradientChannel k[N];
  RVX_UNROLL
  for (int i = 0; i < N; ++i) {
    const float* from = coefficients + place.channelOfGroup(i);
    k[i] = {ld(from), ld(from + plane), ld(from + 2 * plane), ld(from + 3 * plane),
            ld(from + 4 * plane)};
  }
  for (int64_t at = place.at; at < place.end; at += kB * w.stride) {
    Packet<float, N> v[kB], r[kB];
    loadPackets(x, at, w.stride, place.end, v);
    loadPackets(dy, at, w.stride, place.end, r);
    RVX_UNROLL
    for (int b = 0; b < kB; ++b) {
      RVX_UNROLL
      for (int i = 0; i < N; ++i)
        v[b].value[i] = formedGradient(k[i], r[b].value[i], v[b].value[i], slope);
      storePacket(dx, at + b * w.stride, place.end, v[b]);
    }
  }
}

}  // namespace

void normForward(const char* name, const NormForward& n, Context& cx) {
  const Workspace table(cx, tableBytes(n.x, n.groups, sizeof(float4)));
  channelMoments(cx, name, n.x, n.groups, finishOf(n, table));
  launchApply(name, n, table.data<float4>(), cx);
}

void normFixed(const char* name, const NormForward& n, Context& cx) {
  const Workspace table(cx, tableBytes(n.x, 1, sizeof(float4)));
  const auto channels = static_cast<int>(n.x.shape()[-1]);
  launch(cx, name, blocksFor(channels, kWalkThreads), kWalkThreads, 0, &fixedTable,
         finishOf(n, table), channels);
  launchApply(name, n, table.data<float4>(), cx);
}

void makeNormTable(const char* name, const Input& statistics, const Input& gamma, const Input& beta,
                   float4* table, Context& cx) {
  const int64_t count = statistics.shape().size() / 3;
  if (count == 0) return;
  launch(cx, name, blocksFor(count, kWalkThreads), kWalkThreads, 0, &normTable, statistics.data(),
         gamma.data(), beta.data(), count, static_cast<int>(gamma.shape()[0]), table);
}

template <class T>
void gradientSums(const char* name, const NormGradient& n, T* sums, Context& cx) {
  const ChannelWalk w(n.x.shape(), n.groups, kApplyRounds, kMostRounds);
  const Workspace table(cx, tableBytes(n.x, n.groups, sizeof(float4)));
  const Workspace parts(cx, tableBytes(n.x, n.groups * w.perGroup, 2 * sizeof(double)));
  makeNormTable(name, n.statistics, n.gamma, n.beta, table.data<float4>(), cx);
  withStoredType(n.x.dtype(), [&](auto* stored) {
    using S = std::remove_pointer_t<decltype(stored)>;
    launch(cx, name, w.blocks(), w.threads(),
           static_cast<size_t>(w.active * w.packet) * 2 * sizeof(float),
           w.packet == 4 ? &chunkGradients<S, 4> : &chunkGradients<S, 1>, n.x.data<S>(),
           n.dy.data<S>(), w, table.data<float4>(), static_cast<float>(n.slope),
           parts.data<double>());
  });
  launchMerge<MergeSums>(
      cx, name, parts.data<double>(), w,
      FinishGradient<T>{n.statistics.data(), n.gamma.data(), n.beta.data(), sums});
}
template void gradientSums(const char*, const NormGradient&, float*, Context&);
template void gradientSums(const char*, const NormGradient&, double*, Context&);

template <class T>
void gradientCoefficients(const char* name, const NormGradient& n, const T* sums,
                          float* coefficients, float* dgamma, float* dbeta, Context& cx) {
  const auto channels = static_cast<int>(n.x.shape()[-1]);
  const double voxels = static_cast<double>(n.x.shape().size() / (n.groups * channels));
  launch(cx, name, blocksFor(channels, kWalkThreads), kWalkThreads, 0, &fillCoefficients<T>, sums,
         n.statistics.data(), n.gamma.data(), n.beta.data(), n.groups, channels,
         n.constantStatistics ? 0 : 1 / voxels, coefficients, dgamma, dbeta);
}
template void gradientCoefficients(const char*, const NormGradient&, const float*, float*, float*,
                                   float*, Context&);
template void gradientCoefficients(const char*, const NormGradient&, const double*, float*, float*,
                                   float*, Context&);

void formGradient(const char* name, const Input& x, const Input& dy, int64_t groups,
                  const float* coefficients, double slope, void* dx, Context& cx) {
  const ChannelWalk w(x.shape(), groups, kGradientBatch, kApplyRounds);
  withStoredType(x.dtype(), [&](auto* stored) {
    using T = std::remove_pointer_t<decltype(stored)>;
    launch(cx, name, w.blocks(), w.threads(), 0,
           w.packet == 4 ? &applyGradient<T, 4> : &applyGradient<T, 1>, x.data<T>(), dy.data<T>(),
           w, coefficients, static_cast<float>(slope), static_cast<T*>(dx));
  });
}

void normGradient(const char* name, const NormGradient& n, void* dx, float* dgamma, float* dbeta,
                  Context& cx) {
  const Workspace sums(cx, tableBytes(n.x, n.groups, 2 * sizeof(double)));
  const Workspace coefficients(cx, tableBytes(n.x, n.groups, 5 * sizeof(float)));
  gradientSums(name, n, sums.data<double>(), cx);
  gradientCoefficients(name, n, sums.data<double>(), coefficients.data(), dgamma, dbeta, cx);
  formGradient(name, n.x, n.dy, n.groups, coefficients.data(), n.slope, dx, cx);
}

}  // namespace rvx::cuda
