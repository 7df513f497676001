// Channels-last values [groups, voxels, C] walked so that a thread always meets the same channels, whatever C is: what a channel
// needs is loaded once for many voxels, and sums over voxels stay in registers.
//
// A thread takes packets of N neighbouring values, `stride` apart, a multiple of C. Up to 256 packets a row of channels (C / gcd(C, N) of
// them repeat the channels) the threads of a block lie side by side over several voxels and `stride` is all they cover; a row that is longer is cut into
// tiles of one packet a thread, blockIdx.y counts them, and `stride` is C. blockIdx.x counts chunks of `rounds` strides, group by group.
// N is 4, or 1 where packets would not be aligned; without alignment of the last packet its values are taken one by one.
#pragma once
#include <algorithm>
#include <numeric>

#include "cuda/launch.h"
#include "cuda/packet.h"
#include "cuda/stored.h"

namespace rvx::cuda {

constexpr int kWalkThreads = 256;
// Where there is enough to do: some blocks for each multiprocessor of the largest chip; fixed, so that sums do not depend on the chip.
constexpr int64_t kWalkBlocks = 1024;

struct ChannelWalk {
  int64_t values, stride, chunk;  // of a group; between packets of a thread; of a block
  int64_t voxels, chunkVoxels;    // of a group; of a block
  int64_t groups;
  int channels, packet, active;  // active threads of a block
  int perGroup, tiles;

  // Between `least` and `most` rounds a block, a multiple of `least`.
  ChannelWalk(const Shape& shape, int64_t groupCount, int64_t least, int64_t most)
      : groups(groupCount) {
    require(shape[-1] <= 65535 * kWalkThreads, "ShapeMismatch",
            "Too many channels for the GPU: " + shape.text());
    channels = static_cast<int>(shape[-1]);
    values = shape.size() / groups;
    voxels = values / channels;
    packet = groups == 1 || values % 4 == 0 ? 4 : 1;
    int repeat = channels / std::gcd(channels, packet);
    if (repeat > kWalkThreads && channels % 4 != 0) packet = 1, repeat = channels;
    const bool tiled = repeat > kWalkThreads;
    active = tiled ? kWalkThreads : kWalkThreads / repeat * repeat;
    stride = tiled ? channels : active * packet;
    tiles = tiled ? (channels + active * packet - 1) / (active * packet) : 1;
    const int64_t strides = (values + stride - 1) / stride, all = groups * strides * tiles;
    int64_t rounds = std::clamp((all + kWalkBlocks - 1) / kWalkBlocks, least, most);
    rounds = (rounds + least - 1) / least * least;
    chunk = rounds * stride;
    chunkVoxels = chunk / channels;
    perGroup = static_cast<int>(blocksFor(strides, rounds));
  }
  unsigned threads() const { return static_cast<unsigned>((active + 31) / 32 * 32); }
  Dim3 blocks() const { return {blocksFor(groups * perGroup, 1), static_cast<unsigned>(tiles), 1}; }
  // Channels of a block side by side, and how often they lie there.
  RVX_PORTABLE int width() const { return tiles > 1 ? active * packet : channels; }
  RVX_PORTABLE int rows() const { return active * packet / width(); }
  // Voxels of a chunk, counted inside its group.
  RVX_PORTABLE int64_t voxelsOf(int inGroup) const {
    const int64_t left = voxels - inGroup * chunkVoxels;
    return left < chunkVoxels ? left : chunkVoxels;
  }
};

// Where a thread begins: its first packet, the end of its block's values, its channels.
template <int N>
struct WalkPlace {
  int64_t at, end;
  int group, inGroup;
  int tile, column, width, channels;

  RVX_DEVICE explicit WalkPlace(const ChannelWalk& w) {
    group = static_cast<int>(blockIdx.x / static_cast<unsigned>(w.perGroup));
    inGroup = static_cast<int>(blockIdx.x) - group * w.perGroup;
    channels = w.channels, width = w.width();
    tile = static_cast<int>(blockIdx.y) * width;
    column = static_cast<int>(threadIdx.x) * N;
    const int64_t first = inGroup * w.chunk, last = first + w.chunk;
    end = group * w.values + (last < w.values ? last : w.values);
    const bool inside =
        static_cast<int>(threadIdx.x) < w.active && (w.tiles == 1 || tile + column < channels);
    at = inside ? group * w.values + first + tile + column : end;
  }
  // Of value i of the thread's packets; one that exists for threads outside too.
  RVX_DEVICE int channel(int i) const { return (tile + column + i) % channels; }
  RVX_DEVICE int64_t channelOfGroup(int i) const { return int64_t{group} * channels + channel(i); }
};

// B packets of a thread from `at` on; zeros beyond the end.
template <int N, int B, class T>
RVX_DEVICE void loadPackets(const T* x, int64_t at, int64_t stride, int64_t end,
                            Packet<float, N> (&v)[B]) {
  RVX_UNROLL
  for (int k = 0; k < B; ++k) {
    const int64_t p = at + k * stride;
    if (p + N <= end) {
      const Packet<T, N> stored = ldPacket<N>(x + p);
      RVX_UNROLL
      for (int i = 0; i < N; ++i) v[k].value[i] = asFloat(stored.value[i]);
    } else {
      RVX_UNROLL
      for (int i = 0; i < N; ++i) v[k].value[i] = p + i < end ? asFloat(ld(x + p + i)) : 0.0f;
    }
  }
}
template <int N, class T>
RVX_DEVICE void storePacket(T* y, int64_t at, int64_t end, const Packet<float, N>& v) {
  if (at + N <= end) {
    Packet<T, N> stored;
    RVX_UNROLL
    for (int i = 0; i < N; ++i) stored.value[i] = asStored<T>(v.value[i]);
    stPacket(y + at, stored);
  } else {
    RVX_UNROLL
    for (int i = 0; i < N; ++i)
      if (at + i < end) st(y + at + i, asStored<T>(v.value[i]));
  }
}

// Adds rows of `width` values in shared memory into the first, by a tree of fixed order; K arrays, `apart` values from each other. All
// threads of the block together; the caller has synchronised, and all are synchronised after.
template <int K>
RVX_DEVICE void foldRows(float* sums, int apart, int rows, int width) {
  while (rows > 1) {
    const int kept = (rows + 1) / 2, count = (rows - kept) * width;
    for (int j = static_cast<int>(threadIdx.x); j < count; j += static_cast<int>(blockDim.x)) {
      RVX_UNROLL
      for (int k = 0; k < K; ++k) {
        float* to = sums + k * apart + j;
        sts(to, lds(to) + lds(to + kept * width));
      }
    }
    syncBlock();
    rows = kept;
  }
}

// This thread's sums as its part of such an array.
template <int N>
RVX_DEVICE void shareSums(float* sums, const ChannelWalk& w, const Packet<float, N>& mine) {
  if (static_cast<int>(threadIdx.x) < w.active)
    sts(reinterpret_cast<Packet<float, N>*>(sums) + threadIdx.x, mine);
}

}  // namespace rvx::cuda
