// Sums over the voxels of channels-last values by channel: each block makes two sums in float of its chunk, in double from there on,
// and mergeChunks takes the chunks of a group together in a fixed order.
//
// channelMoments: mean and M2. The mean of a block's first 8 packets a thread, which stay in registers, is taken off its values before
// they are summed (d = x - K: mean = K + s / n, M2 = sum d^2 - s^2 / n). As K is the mean of a part of what the block sums, it
// lies at most a few deviations off, so a mean of 10^4 deviations loses nothing; chunks are merged as moments.h says.
// Least bytes: x read once. FLOPs: 4 a value.
#pragma once
#include "cuda/channelWalk.h"
#include "cuda/moments.h"

namespace rvx::cuda {

constexpr int kMomentRounds = 8, kMostRounds = 256;
constexpr int kMergeChannels = 8, kMergeRows = kWalkThreads / kMergeChannels;

struct MergeMoments {
  RVX_DEVICE Moments<double> operator()(const Moments<double>& a, const Moments<double>& b) const {
    return merged(a, b);
  }
};
struct MergeSums {
  RVX_DEVICE Moments<double> operator()(const Moments<double>& a, const Moments<double>& b) const {
    return {a.count + b.count, a.mean + b.mean, a.m2 + b.m2};
  }
};

// parts [groups, chunks, C, 2] to one triple a channel, for which finish(group * C + c, c, triple) is called.
template <class Merge, class Finish>
RVX_KERNEL(kWalkThreads)
mergeChunks(const double* parts, ChannelWalk w, Finish finish) {
  const auto tid = static_cast<int>(threadIdx.x);
  const int runs = (w.channels + kMergeChannels - 1) / kMergeChannels;
  const int group = static_cast<int>(blockIdx.x) / runs;
  const int c =
      (static_cast<int>(blockIdx.x) - group * runs) * kMergeChannels + tid % kMergeChannels;
  const int row = tid / kMergeChannels;
  Merge merge;
  Moments<double> all{0, 0, 0};
  if (c < w.channels)
    for (int i = row; i < w.perGroup; i += kMergeRows) {
      const int64_t at = (int64_t{group} * w.perGroup + i) * w.channels + c;
      const double2 part = ld(reinterpret_cast<const double2*>(parts) + at);
      all = merge(all, {static_cast<double>(w.voxelsOf(i)), part.x, part.y});
    }
  double* scratch = sharedMemory<double>();
  for (int half = kMergeRows / 2; half > 0; half /= 2) {
    if (row >= half && row < 2 * half) {
      sts(scratch + tid * 3, all.count);
      sts(scratch + tid * 3 + 1, all.mean);
      sts(scratch + tid * 3 + 2, all.m2);
    }
    syncBlock();
    if (row < half) {
      const double* from = scratch + (tid + half * kMergeChannels) * 3;
      all = merge(all, {lds(from), lds(from + 1), lds(from + 2)});
    }
  }
  if (row == 0 && c < w.channels) finish(int64_t{group} * w.channels + c, c, all);
}

template <class Merge, class Finish>
void launchMerge(Context& cx, const char* name, const double* parts, const ChannelWalk& w,
                 Finish finish) {
  const int64_t runs = (w.channels + kMergeChannels - 1) / kMergeChannels;
  void (*kernel)(const double*, ChannelWalk, Finish) = &mergeChunks<Merge, Finish>;
  launch(cx, name, blocksFor(w.groups * runs, 1), kWalkThreads, kWalkThreads * 3 * sizeof(double),
         kernel, parts, w, finish);
}

RVX_DEVICE void storePart(double* parts, int64_t at, double first, double second) {
  double2 part;
  part.x = first, part.y = second;
  st(reinterpret_cast<double2*>(parts) + at, part);
}

template <int N>
RVX_DEVICE void addDeviations(const Packet<float, N> (&v)[kMomentRounds], const float (&shift)[N],
                              int64_t at, int64_t stride, int64_t end, Packet<float, N>& first,
                              Packet<float, N>& second) {
  RVX_UNROLL
  for (int k = 0; k < kMomentRounds; ++k) {
    RVX_UNROLL
    for (int i = 0; i < N; ++i) {
      const float d = at + k * stride + i < end ? v[k].value[i] - shift[i] : 0.0f;
      first.value[i] += d;
      second.value[i] = fma(d, d, second.value[i]);
    }
  }
}

template <int N>
RVX_KERNEL(kWalkThreads)
chunkMoments(const float* x, ChannelWalk w, double* parts) {
  const WalkPlace<N> place(w);
  float* sums = sharedMemory<float>();
  const int apart = N * w.active, rows = w.rows();
  const int64_t step = kMomentRounds * w.stride, voxels = w.voxelsOf(place.inGroup);
  Packet<float, N> v[kMomentRounds], first{}, second{};
  loadPackets(x, place.at, w.stride, place.end, v);
  RVX_UNROLL
  for (int k = 0; k < kMomentRounds; ++k) {
    RVX_UNROLL
    for (int i = 0; i < N; ++i) first.value[i] += v[k].value[i];
  }
  shareSums(sums, w, first);
  syncBlock();
  foldRows<1>(sums, apart, rows, place.width);
  // As many voxels as those packets cover.
  const int64_t ahead = int64_t{kMomentRounds} * (w.tiles > 1 ? 1 : rows);
  const auto count = static_cast<float>(ahead < voxels ? ahead : voxels);
  float shift[N];
  RVX_UNROLL
  for (int i = 0; i < N; ++i) {
    shift[i] = lds(sums + (place.column + i) % place.width) / count;
    first.value[i] = 0;
  }
  syncBlock();
  addDeviations(v, shift, place.at, w.stride, place.end, first, second);
  for (int64_t at = place.at + step; at < place.end; at += step) {
    loadPackets(x, at, w.stride, place.end, v);
    addDeviations(v, shift, at, w.stride, place.end, first, second);
  }
  shareSums(sums, w, first);
  shareSums(sums + apart, w, second);
  syncBlock();
  foldRows<2>(sums, apart, rows, place.width);
  // The thread whose values stand in row 0 knows the channel's shift.
  RVX_UNROLL
  for (int i = 0; i < N; ++i) {
    const int j = place.column + i;
    if (j >= place.width || place.tile + j >= w.channels) continue;
    const auto n = static_cast<double>(voxels);
    const double s = lds(sums + j), q = lds(sums + apart + j) - s * s / n;
    storePart(parts, int64_t{blockIdx.x} * w.channels + place.tile + j, shift[i] + s / n,
              q > 0 ? q : 0);
  }
}

// finish(group * C + c, c, Moments<double>) for every channel of x [groups, voxels, C].
template <class Finish>
void channelMoments(Context& cx, const char* name, const Input& x, int64_t groups, Finish finish) {
  const ChannelWalk w(x.shape(), groups, kMomentRounds, kMostRounds);
  const Workspace parts(cx,
                        static_cast<size_t>(groups * w.perGroup * w.channels) * 2 * sizeof(double));
  launch(cx, name, w.blocks(), w.threads(),
         static_cast<size_t>(w.active * w.packet) * 2 * sizeof(float),
         w.packet == 4 ? &chunkMoments<4> : &chunkMoments<1>, x.data(), w, parts.data<double>());
  launchMerge<MergeMoments>(cx, name, parts.data<double>(), w, finish);
}

}  // namespace rvx::cuda
