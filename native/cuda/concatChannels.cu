// concatChannels, sliceChannels and the latter's gradient: each voxel's row of the result is put together of runs of other tensors' rows,
// zeros between them. Least bytes: every value read once and written once. No FLOPs.
//
// A thread writes one packet, so that stores are whole lines whatever the runs are: four channels where every run begins and ends at
// a multiple of four, else one. Up to kRuns runs a launch, among the kernel's arguments; longer lists take more launches.
// Limits: f32 (ops/channels.h); fewer than 2^31 - 256 channels a launch (checked). Channels that are not whole fours move 4 bytes an access.
#include <algorithm>

#include "cuda/launch.h"
#include "cuda/packet.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256, kRuns = 16;

// Channels begin..end-1 of the result are those of x from `from` on.
struct Run {
  const float* x;
  int64_t begin, end, from, channels;
};
struct Runs {
  Run run[kRuns];
  int count;
  int64_t first, last;  // channels of the result that this launch writes
  int64_t channels, voxels;
};

template <int N>
RVX_KERNEL(kThreads)
joinRuns(Runs r, float* y) {
  const auto packets = static_cast<uint32_t>((r.last - r.first) / N);
  // One 64-bit division for the block, then 32 bits.
  const int64_t start = int64_t{blockIdx.x} * kThreads, base = start / packets;
  const uint32_t offset = static_cast<uint32_t>(start - base * packets) + threadIdx.x;
  const uint32_t further = offset / packets;
  const int64_t voxel = base + further;
  if (voxel >= r.voxels) return;
  const int64_t c = r.first + int64_t{offset - further * packets} * N;
  Packet<float, N> v{};
  for (int k = 0; k < r.count; ++k)
    if (c >= r.run[k].begin && c < r.run[k].end)
      v = ldPacket<N>(r.run[k].x + voxel * r.run[k].channels + r.run[k].from +
                      (c - r.run[k].begin));
  stPacket(y + voxel * r.channels + c, v);
}

void join(Context& cx, const char* name, const Runs& r, float* y) {
  bool four = r.channels % 4 == 0 && r.first % 4 == 0 && r.last % 4 == 0;
  for (int k = 0; k < r.count; ++k)
    for (int64_t n : {r.run[k].begin, r.run[k].end, r.run[k].from, r.run[k].channels})
      four = four && n % 4 == 0;
  require(r.last - r.first <= INT32_MAX - kThreads, "ShapeMismatch",
          "Too many channels for the GPU: " + std::to_string(r.last - r.first));
  const int64_t items = r.voxels * (r.last - r.first) / (four ? 4 : 1);
  launch(cx, name, blocksFor(items, kThreads), kThreads, 0, four ? &joinRuns<4> : &joinRuns<1>, r,
         y);
}

Runs runsOf(const Shape& y) {
  Runs r{};
  r.channels = r.last = y[-1];
  r.voxels = y.size() / y[-1];
  return r;
}

}  // namespace

template <>
void run(const ConcatChannels& op, Context& cx) {
  if (op.y.shape.size() == 0) return;
  Runs r = runsOf(op.y.shape);
  int64_t at = 0;
  for (size_t k = 0; k < op.inputs.size(); ++k) {
    const int64_t channels = op.inputs[k].shape()[-1];
    r.run[r.count++] = {op.inputs[k].data(), at, at + channels, 0, channels};
    at += channels;
    if (r.count < kRuns && k + 1 < op.inputs.size()) continue;
    r.last = at;
    if (r.first < r.last) join(cx, "concatChannels", r, op.y.data());
    r.first = at, r.count = 0;
  }
}

template <>
void run(const SliceChannels& op, Context& cx) {
  Runs r = runsOf(op.y.shape);
  r.run[r.count++] = {op.x.data(), 0, r.channels, op.from, op.x.shape()[-1]};
  join(cx, "sliceChannels", r, op.y.data());
}

template <>
void run(const SliceChannelsGrad& op, Context& cx) {
  if (op.dx.shape.size() == 0) return;
  Runs r = runsOf(op.dx.shape);
  const int64_t channels = op.dy.shape()[-1];
  r.run[r.count++] = {op.dy.data(), op.from, op.from + channels, 0, channels};
  join(cx, "sliceChannelsGrad", r, op.dx.data());
}

}  // namespace rvx::cuda
