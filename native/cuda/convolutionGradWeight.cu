// Weight gradients (convolutionGradWeight.h): launches of the kernels that make partial sums (convolutionGradWeightTensor.cu,
// convolutionGradWeightExact.cu), their sum, and the bias gradient.
//
// Sum of partials: least bytes one read of them, 4 written a weight. A block makes 32 or more weights, whose partials up to eight rows
// of threads share; each adds every eighth partial in double, then the rows are added in order. FLOPs: one a partial, in double.
//
// Bias gradient: one read of dy. A block adds a run of voxels, a thread every so-manieth voxel of one channel, in double; then
// the threads of a channel are added in order, and another kernel adds the blocks, one warp a channel.
//
// Limits: channels below 2^31 (checkedInt), of dy below 2^24 for the bias, by the grid's second axis; compute capability 8.0 for bf16
// (tensorCores.h); those of convolutionGradWeightPlan.cu. A small weight of a large volume is summed by few blocks from many partials.
#include <algorithm>

#include "cuda/convolutionGradWeightKernels.h"
#include "cuda/reduce.h"
#include "cuda/sources.h"
#include "cuda/tensorCores.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Partials {
  const float* data;
  int64_t count, size;
  int rows;  // of threads: 1, 2, 4 or 8
  int taps, coarse, coarsePadded, finePadded;
  int first, second, firstPadded;  // fine channels
  float* dw;
};

RVX_KERNEL(kThreads) addPartials(Partials p) {
  auto* scratch = sharedMemory<double>();
  const int outputs = kThreads / p.rows;
  const int at = static_cast<int>(threadIdx.x) % outputs,
            row = static_cast<int>(threadIdx.x) / outputs;
  const int64_t i = int64_t{blockIdx.x} * outputs + at;
  double sum = 0;
  if (i < p.size) {
    const float* from = p.data + i;
    int64_t k = row;
    for (; k + 7 * p.rows < p.count; k += 8 * p.rows) {
      float v[8];
      RVX_UNROLL
      for (int j = 0; j < 8; ++j) v[j] = ld(from + (k + j * p.rows) * p.size);
      RVX_UNROLL
      for (int j = 0; j < 8; ++j) sum += static_cast<double>(v[j]);
    }
    for (; k < p.count; k += p.rows) sum += static_cast<double>(ld(from + k * p.size));
  }
  sts(scratch + threadIdx.x, sum);
  syncBlock();
  if (row > 0 || i >= p.size) return;
  for (int r = 1; r < p.rows; ++r) sum += lds(scratch + r * outputs + at);
  const auto column = static_cast<int>(i % p.finePadded);
  const int64_t rest = i / p.finePadded;
  const auto co = static_cast<int>(rest % p.coarsePadded),
             tap = static_cast<int>(rest / p.coarsePadded);
  const bool second = column >= p.firstPadded;
  const int own = second ? column - p.firstPadded : column;
  if (co >= p.coarse || own >= (second ? p.second : p.first)) return;
  const int ci = second ? p.first + own : own;
  st(p.dw + (int64_t{co} * (p.first + p.second) + ci) * p.taps + tap, static_cast<float>(sum));
}

RVX_KERNEL(kThreads)
sumColumns(const void* dy, DType type, int64_t voxels, int channels, int64_t each,
           double* partials) {
  auto* scratch = sharedMemory<double>();
  const auto t = static_cast<int>(threadIdx.x);
  const int first = static_cast<int>(blockIdx.y) * kThreads;
  const int width = channels - first < kThreads ? channels - first : kThreads;
  const int rows = kThreads / width, c = first + t % width;
  const int64_t begin = blockIdx.x * each, last = begin + each, end = last < voxels ? last : voxels;
  double sum = 0;
  if (t < rows * width) {
    int64_t v = begin + t / width;
    for (; v + 7 * rows < end; v += 8 * rows) {
      float value[8];
      RVX_UNROLL
      for (int j = 0; j < 8; ++j) value[j] = loadOne(type, dy, (v + j * rows) * channels + c);
      RVX_UNROLL
      for (int j = 0; j < 8; ++j) sum += static_cast<double>(value[j]);
    }
    for (; v < end; v += rows) sum += static_cast<double>(loadOne(type, dy, v * channels + c));
  }
  sts(scratch + t, sum);
  syncBlock();
  if (t >= width) return;
  for (int r = 1; r < rows; ++r) sum += lds(scratch + r * width + t);
  st(partials + int64_t{blockIdx.x} * channels + c, sum);
}

RVX_KERNEL(32)
addColumns(const double* partials, int64_t count, int channels, float* db) {
  double sum = 0;
  for (int64_t k = threadIdx.x; k < count; k += 32) sum += ld(partials + k * channels + blockIdx.x);
  sum = reduceWarp<Plus>(sum);
  if (threadIdx.x == 0) st(db + blockIdx.x, static_cast<float>(sum));
}

GradImage imageOf(const WeightGradient::Image& from, DType operand) {
  const int unit = operand == DType::f32 ? 4 : 8;
  GradImage image{};
  image.source.x = from.data;
  image.source.channels = checkedInt(from.channels);
  image.source.aligned = from.channels % unit == 0;
  image.type = from.type;
  image.copied = image.source.aligned && from.type == operand && !from.scale;
  image.scale = from.scale, image.shift = from.shift;
  return image;
}

}  // namespace

bool formsOnLoad(const WeightGradient& g, Context& cx) {
  if (g.operand == DType::f32 || g.coarse.type != g.operand || g.coarse.channels == 0) return false;
  const GradTile t = planGradient(g);
  return t.sharedBytes + t.formedBytes() <= gpu(cx).chip().sharedPerBlock;
}

void runWeightGradient(const WeightGradient& g, Context& cx) {
  requireTensorCores(cx, g.operand);
  const int64_t outputs = g.samples * g.coarseSize[0] * g.coarseSize[1] * g.coarseSize[2];
  const int64_t weights = g.coarse.channels * (g.fine[0].channels + g.fine[1].channels) *
                          g.kernel[0] * g.kernel[1] * g.kernel[2];
  if (outputs == 0) gpu(cx).fill(g.dw, 0, static_cast<size_t>(weights) * sizeof(float));
  if (outputs * weights == 0) return;
  GradPass p{};
  const GradTile& t = p.tile = planGradient(g);
  p.coarse = imageOf(g.coarse, g.operand);
  p.fine[0] = imageOf(g.fine[0], g.operand);
  p.fine[1] = imageOf(g.fine[1], g.operand);
  p.normed = p.coarse.scale || p.fine[0].scale || p.fine[1].scale;
  p.slope = g.slope;
  const int64_t size = t.partialSize();
  const Workspace partials(cx, static_cast<size_t>(t.partials() * size) * sizeof(float));
  p.partials = partials.data();
  const Dim3 grid{blocksFor(int64_t{t.boxCount()} * t.coarseTiles * t.fineTiles, 1),
                  static_cast<unsigned>(t.splits), 1};
  const bool formed = g.formed.raw != nullptr;
  p.raw = g.formed.raw, p.coefficients = g.formed.coefficients, p.formedSlope = g.formed.slope;
  p.plane = g.samples * g.coarse.channels;
  launch(cx, g.name, grid, static_cast<unsigned>(t.threads()),
         t.sharedBytes + (formed ? t.formedBytes() : 0),
         g.operand == DType::f32 ? gradWeightExact(t)
         : formed                ? gradWeightFormed(t, g.operand)
                                 : gradWeightTensor(t, g.operand),
         p, t.tableBytes());

  Partials sums{};
  sums.data = p.partials, sums.count = t.partials(), sums.size = size;
  sums.rows = sums.count >= 32 ? 8 : sums.count >= 8 ? 4 : 1;
  sums.taps = t.taps();
  sums.coarse = p.coarse.source.channels;
  sums.coarsePadded = t.coarsePadded(), sums.finePadded = t.finePadded();
  sums.first = p.fine[0].source.channels, sums.second = p.fine[1].source.channels;
  sums.firstPadded = t.firstUnits * t.unit;
  sums.dw = g.dw;
  launch(cx, "convolutionGradWeight/add", blocksFor(size, kThreads / sums.rows), kThreads,
         kThreads * sizeof(double), &addPartials, sums);
}

void runBiasGradient(const char* name, const void* dy, DType type, int64_t voxels, int64_t channels,
                     float* db, Context& cx) {
  // About 8192 values a block, more where there would be too many blocks.
  const int64_t each =
      std::max({int64_t{1}, 8192 / std::max<int64_t>(1, channels), (voxels + 527) / 528});
  const int64_t blocks = std::max<int64_t>(1, (voxels + each - 1) / each);
  if (channels == 0) return;
  const Workspace partials(cx, static_cast<size_t>(blocks * channels) * sizeof(double));
  launch(cx, name, Dim3{blocksFor(blocks, 1), blocksFor(channels, kThreads), 1}, kThreads,
         kThreads * sizeof(double), &sumColumns, dy, type, voxels, checkedInt(channels), each,
         partials.data<double>());
  launch(cx, "convolutionGradBias/add", blocksFor(channels, 1), 32, 0, &addColumns,
         partials.data<double>(), blocks, checkedInt(channels), db);
}

}  // namespace rvx::cuda
