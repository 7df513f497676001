// What follows a tensor-core convolution: y = bias + sum over splits s of partial[s] in the order of s (least bytes: the partials read,
// y written once; a block makes 64 voxels x 32 channels), and the statistics of every channel from those of its parts (one block
// each, in double, since f32 means of many parts drift). FLOPs: splits + 1 a value of y, 4 more with statistics: the bytes bound it.
// Of a gradient between norms the sums for the norm below take the place of statistics (convolutionTensorGrad.h): of y as it is stored, by
// the same blocks (one read more, 7 FLOPs a value), those of parts by a block a channel in double.
//
// Limits: fewer than 65536 samples (checked in convolutionTensor.cu), 2^21 channels; up to 16 splits (convolutionTensorPlan.cpp) of 4 bytes a
// value of y. A channel's parts are merged by one block: many parts of few channels leave most of a chip idle.
#include "cuda/convolutionTensorStore.h"
#include "cuda/convolutionTensorSums.h"
#include "cuda/launch.h"
#include "cuda/norm.h"
#include "math/norm.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kChannels = 32, kRows = kThreads / kChannels, kRounds = 8;

struct Splits {
  const float* partials;
  int64_t size, voxels;  // elements of y; voxels of a sample
  int splits, channels;
  const float* bias;
  void* y;
  Stored stored;
  float *moments, *counts;
};
// Of a gradient stored in 16 bits, the layer below (TensorGradPass).
struct SplitsBelow {
  const void* y;
  const float4* table;
  float slope;
  float2* sums;
};

RVX_KERNEL(kThreads) addPartials(Splits s) {
  const int lane = static_cast<int>(threadIdx.x) % kChannels,
            row = static_cast<int>(threadIdx.x) / kChannels;
  const int c = static_cast<int>(blockIdx.y) * kChannels + lane;
  const auto sample = static_cast<int>(blockIdx.z);
  const int64_t first = int64_t{blockIdx.x} * kRows * kRounds + row;
  float value[kRounds], count = 0, sum = 0;
  RVX_UNROLL
  for (int i = 0; i < kRounds; ++i) {
    const int64_t voxel = first + i * kRows;
    value[i] = 0;
    if (voxel >= s.voxels || c >= s.channels) continue;
    const int64_t at = (sample * s.voxels + voxel) * s.channels + c;
    float v = ld(s.partials + at);
    for (int k = 1; k < s.splits; ++k) v += ld(s.partials + k * s.size + at);
    if (s.bias) v += ld(s.bias + c);
    storeOne(s.y, s.stored, at, v);
    value[i] = v;
    count += 1;
    sum += v;
  }
  if (!s.moments) return;
  Moments<float> all{count, count > 0 ? sum / count : 0.0f, 0};
  RVX_UNROLL
  for (int i = 0; i < kRounds; ++i) {
    const float delta = static_cast<float>(i) < count ? value[i] - all.mean : 0.0f;
    all.m2 = fma(delta, delta, all.m2);
  }
  float* to = sharedMemory<float>() + threadIdx.x * 3;
  sts(to, all.count);
  sts(to + 1, all.mean);
  sts(to + 2, all.m2);
  syncBlock();
  if (row > 0) return;
  for (int k = 1; k < kRows; ++k) {
    const float* from = sharedMemory<float>() + (k * kChannels + lane) * 3;
    all = merged(all, {lds(from), lds(from + 1), lds(from + 2)});
  }
  if (c < s.channels)
    st(reinterpret_cast<float2*>(s.moments +
                                 ((int64_t{sample} * s.channels + c) * gridDim.x + blockIdx.x) * 2),
       make_float2(all.mean, all.m2));
  if (c == 0) st(s.counts + int64_t{sample} * gridDim.x + blockIdx.x, all.count);
}

// The same with the sums of a gradient for the norm below (convolutionTensorGrad.h) instead of moments.
RVX_KERNEL(kThreads) addGradientPartials(Splits s, SplitsBelow below) {
  const int lane = static_cast<int>(threadIdx.x) % kChannels,
            row = static_cast<int>(threadIdx.x) / kChannels;
  const int c = static_cast<int>(blockIdx.y) * kChannels + lane;
  const auto sample = static_cast<int>(blockIdx.z);
  const int64_t first = int64_t{blockIdx.x} * kRows * kRounds + row;
  const float4 norm =
      c < s.channels ? ld(below.table + int64_t{sample} * s.channels + c) : make_float4(0, 0, 0, 0);
  float2 all = make_float2(0, 0);
  RVX_UNROLL
  for (int i = 0; i < kRounds; ++i) {
    const int64_t voxel = first + i * kRows;
    if (voxel >= s.voxels || c >= s.channels) continue;
    const int64_t at = (sample * s.voxels + voxel) * s.channels + c;
    float v = ld(s.partials + at);
    for (int k = 1; k < s.splits; ++k) v += ld(s.partials + k * s.size + at);
    storeOne(s.y, s.stored, at, v);
    v = s.stored == Stored::bf16 ? unpackLow<Bf16>(packBf16(v, 0)) : unpackLow<F16>(packF16(v, 0));
    const float t = loadAs(s.stored, below.y, at) - norm.x;
    const float dz = leakyReluGrad(normalised(t, norm.y, norm.z), v, below.slope);
    all.x += dz;
    all.y = fma(dz, t, all.y);
  }
  auto* scratch = sharedMemory<float2>();
  sts(scratch + threadIdx.x, all);
  syncBlock();
  if (row > 0 || c >= s.channels) return;
  for (int k = 1; k < kRows; ++k) {
    const float2 more = lds(scratch + k * kChannels + lane);
    all.x += more.x, all.y += more.y;
  }
  st(below.sums + (int64_t{sample} * s.channels + c) * gridDim.x + blockIdx.x, all);
}

// A block a channel of a sample.
RVX_KERNEL(kThreads)
mergeGradientParts(const float2* parts, int count, const float* statistics, float* sums) {
  const auto tid = static_cast<int>(threadIdx.x);
  const int64_t channel = blockIdx.x;
  double first = 0, second = 0;
  for (int i = tid; i < count; i += kThreads) {
    const float2 part = ld(parts + channel * count + i);
    first += static_cast<double>(part.x);
    second += static_cast<double>(part.y);
  }
  double* scratch = sharedMemory<double>();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (tid >= half && tid < 2 * half) {
      sts(scratch + tid, first);
      sts(scratch + kThreads + tid, second);
    }
    syncBlock();
    if (tid < half) {
      first += lds(scratch + tid + half);
      second += lds(scratch + kThreads + tid + half);
    }
  }
  if (tid > 0) return;
  const float* from = statistics + 3 * channel;
  const float three[3] = {ld(from), ld(from + 1), ld(from + 2)};
  const double products = channelNorm(three, 0, 0).sumOfProducts(first, second);
  st(reinterpret_cast<float2*>(sums) + channel,
     make_float2(static_cast<float>(first), static_cast<float>(products)));
}

// Sums around the first part's mean instead of merging pair by pair, which divides doubles.
RVX_KERNEL(kThreads)
mergeParts(const float* moments, const float* counts, int channels, int parts, float* sums) {
  const auto tid = static_cast<int>(threadIdx.x);
  const int64_t channel = blockIdx.x, sample = channel / channels;
  const auto* part = reinterpret_cast<const float2*>(moments) + channel * parts;
  const double centre = ld(part).x;
  double count = 0, first = 0, second = 0;
  for (int i = tid; i < parts; i += kThreads) {
    const float2 m = ld(part + i);
    const double n = ld(counts + sample * parts + i), away = m.x - centre;
    count += n;
    first += n * away;
    second += m.y + n * away * away;
  }
  double* scratch = sharedMemory<double>();
  for (int half = kThreads / 2; half > 0; half /= 2) {
    if (tid >= half && tid < 2 * half) {
      sts(scratch + tid, count);
      sts(scratch + kThreads + tid, first);
      sts(scratch + 2 * kThreads + tid, second);
    }
    syncBlock();
    if (tid < half) {
      count += lds(scratch + tid + half);
      first += lds(scratch + kThreads + tid + half);
      second += lds(scratch + 2 * kThreads + tid + half);
    }
  }
  if (tid == 0) {
    const double mean = count > 0 ? first / count : 0, m2 = second - mean * first;
    st(reinterpret_cast<float2*>(sums) + channel,
       make_float2(static_cast<float>(centre + mean), static_cast<float>(m2 > 0 ? m2 : 0)));
  }
}

}  // namespace

void mergeMoments(const char* name, const float* moments, const float* counts, int samples,
                  int channels, int parts, float* sums, Context& cx) {
  launch(cx, name, blocksFor(int64_t{samples} * channels, 1), kThreads,
         kThreads * 3 * sizeof(double), &mergeParts, moments, counts, channels, parts, sums);
}

void mergeGradientSums(const TensorConvolution& c, const float2* parts, int count, Context& cx) {
  launch(cx, "conv3dGradInput/sums", blocksFor(int64_t{c.samples} * c.cout, 1), kThreads,
         kThreads * 2 * sizeof(double), &mergeGradientParts, parts, count,
         c.below.statistics->data(), c.below.sums);
}

void addSplits(const TensorConvolution& c, const float* partials, int splits, Context& cx) {
  Splits s{};
  s.partials = partials;
  s.size = c.y->shape.size();
  s.voxels = s.size / c.samples / c.cout;
  s.splits = splits;
  s.channels = c.cout;
  s.bias = c.bias;
  s.y = c.y->data<void>();
  s.stored = storedAs(c.y->dtype);
  const unsigned blocks = blocksFor(s.voxels, kRows * kRounds);
  const Dim3 grid{blocks, static_cast<unsigned>((c.cout + kChannels - 1) / kChannels),
                  static_cast<unsigned>(c.samples)};
  if (c.below.sums) {
    const Workspace table(cx, static_cast<size_t>(c.samples) * c.cout * sizeof(float4));
    makeNormTable("conv3dGradInput/norms", *c.below.statistics, *c.below.gamma, *c.below.beta,
                  table.data<float4>(), cx);
    const Workspace sums(cx,
                         size_t{blocks} * static_cast<size_t>(c.samples) * c.cout * sizeof(float2));
    launch(cx, "convolution/splits", grid, kThreads, kThreads * sizeof(float2),
           &addGradientPartials, s,
           SplitsBelow{c.below.y->data<void>(), table.data<float4>(), c.below.slope,
                       sums.data<float2>()});
    mergeGradientSums(c, sums.data<float2>(), static_cast<int>(blocks), cx);
    return;
  }
  const size_t parts = c.sums ? size_t{blocks} * static_cast<size_t>(c.samples) : 0;
  const Workspace moments(cx, parts * static_cast<size_t>(c.cout) * 2 * sizeof(float));
  const Workspace counts(cx, parts * sizeof(float));
  if (c.sums) s.moments = moments.data(), s.counts = counts.data();
  launch(cx, "convolution/splits", grid, kThreads, kThreads * 3 * sizeof(float), &addPartials, s);
  if (c.sums)
    mergeMoments("conv3d/statistics", s.moments, s.counts, c.samples, c.cout,
                 static_cast<int>(blocks), c.sums, cx);
}

}  // namespace rvx::cuda
