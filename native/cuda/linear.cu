// linear, y = x w^T + b, and its gradient (ops/pooling.h): heads of a few hundred values, batches of a few samples. Bound by reading the
// weight, once each way; products are summed in double, in a fixed order, as on the CPU. FLOPs: 2 * N * in * out forward, twice
// that backward; least bytes: weight, x and y once.
//
// y: a warp makes one output of every sample, its lanes interleaved over the inputs, 4 samples at once; x comes out of the caches.
// dweight: a thread each, over the samples. dx: a block makes 32 inputs of a sample, its 8 rows interleaved over the outputs.
//
// Limits: f32, products in double, no tensor cores. y reads the weight again for each 4 samples, dx for each one, and dweight goes through the
// samples one by one: batches of hundreds are bound by the caches and by doubles, which are slow on consumer GPUs. More than 131072
// samples take more launches.
#include "cuda/launch.h"
#include "cuda/reduce.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256, kWarps = kThreads / 32, kSamples = 4;

struct Layer {
  const float *x, *weight, *bias, *dy;
  float *y, *dx, *dweight, *dbias;
  int64_t samples, in, out;
};

RVX_KERNEL(kThreads) outputs(Layer l) {
  const int64_t o = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int64_t first = int64_t{blockIdx.y} * kSamples;
  double sum[kSamples] = {};
  if (o < l.out)
    for (int64_t i = lane; i < l.in; i += 32) {
      const auto factor = static_cast<double>(ld(l.weight + o * l.in + i));
      RVX_UNROLL
      for (int s = 0; s < kSamples; ++s)
        if (first + s < l.samples)
          sum[s] += factor * static_cast<double>(ld(l.x + (first + s) * l.in + i));
    }
  RVX_UNROLL
  for (int s = 0; s < kSamples; ++s) {
    const double all = reduceWarp<Plus>(sum[s]);
    if (lane == 0 && o < l.out && first + s < l.samples)
      st(l.y + (first + s) * l.out + o,
         static_cast<float>(all + (l.bias ? static_cast<double>(ld(l.bias + o)) : 0.0)));
  }
}

// The thread past a row's last input makes the bias.
RVX_KERNEL(kThreads) weightGradient(Layer l) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x, row = l.in + 1;
  if (at >= l.out * row) return;
  const int64_t o = at / row, i = at - o * row;
  double sum = 0;
  for (int64_t n = 0; n < l.samples; ++n) {
    const double g = ld(l.dy + n * l.out + o);
    sum += i < l.in ? g * static_cast<double>(ld(l.x + n * l.in + i)) : g;
  }
  st(i < l.in ? l.dweight + o * l.in + i : l.dbias + o, static_cast<float>(sum));
}

RVX_KERNEL(kThreads) inputGradient(Layer l, unsigned blocks) {
  const int lane = static_cast<int>(threadIdx.x) % 32, row = static_cast<int>(threadIdx.x) / 32;
  const unsigned n = blockIdx.x / blocks;
  const int64_t i = int64_t{blockIdx.x - n * blocks} * 32 + lane;
  double sum = 0;
  if (i < l.in)
    for (int64_t o = row; o < l.out; o += kWarps)
      sum += static_cast<double>(ld(l.dy + n * l.out + o)) *
             static_cast<double>(ld(l.weight + o * l.in + i));
  double* sums = sharedMemory<double>();
  sts(sums + threadIdx.x, sum);
  syncBlock();
  if (row > 0 || i >= l.in) return;
  for (int k = 1; k < kWarps; ++k) sum += lds(sums + k * 32 + lane);
  st(l.dx + n * l.in + i, static_cast<float>(sum));
}

}  // namespace

template <>
void run(const Linear& op, Context& cx) {
  Layer l{};
  l.x = op.x.data(), l.weight = op.weight.data(), l.bias = op.bias.data(), l.y = op.y.data();
  l.samples = op.x.shape()[0], l.in = op.x.shape()[1], l.out = op.weight.shape()[0];
  // The grid's second axis ends at 65535.
  constexpr int64_t kAtOnce = 32768 * kSamples;
  for (int64_t from = 0; from < l.samples; from += kAtOnce) {
    Layer part = l;
    part.samples = std::min(kAtOnce, l.samples - from);
    part.x += from * l.in, part.y += from * l.out;
    launch(cx, "linear", Dim3{blocksFor(l.out, kWarps), blocksFor(part.samples, kSamples), 1},
           kThreads, 0, &outputs, part);
  }
}

template <>
void run(const LinearGrad& op, Context& cx) {
  Layer l{};
  l.x = op.x.data(), l.weight = op.weight.data(), l.dy = op.dy.data();
  l.dx = op.dx.data(), l.dweight = op.dweight.data(), l.dbias = op.dbias.data();
  l.samples = op.x.shape()[0], l.in = op.x.shape()[1], l.out = op.weight.shape()[0];
  launch(cx, "linearGrad/weight", blocksFor(l.out * (l.in + 1), kThreads), kThreads, 0,
         &weightGradient, l);
  const unsigned blocks = blocksFor(l.in, 32);
  launch(cx, "linearGrad/input", blocksFor(l.samples * blocks, 1), kThreads,
         kThreads * sizeof(double), &inputGradient, l, blocks);
}

}  // namespace rvx::cuda
