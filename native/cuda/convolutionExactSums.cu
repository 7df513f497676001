// What follows a convolution by FFMA: y = bias + sum over splits s of partial[s] in the order of s (least bytes: the partials read, y
// written once), and the statistics of every channel from the blocks' moments. FLOPs: splits + 1 a value of y, 4 more with
// statistics: the bytes bound it.
// A block adds 64 voxels of a sample by 32 channels; another merges 32 channels of a sample, 32 rows of threads over the blocks' moments.
//
// Limits: fewer than 65536 samples and 2^21 channels, by the grid's second and third axes (samples: checked in convolutionExact.cu).
#include "cuda/convolutionExactSums.h"

namespace rvx::cuda {
namespace {

constexpr int kFinishChannels = 32, kFinishRows = 8, kFinishEach = 8;
constexpr int kFinishVoxels = kFinishRows * kFinishEach;

// y = bias + the splits' sums, in order, of kFinishVoxels voxels of a sample by 32 channels; and their moments.
RVX_KERNEL(kFinishChannels* kFinishRows)
addSplits(const float* partial, int splits, int64_t split, const float* bias, void* y, DType type,
          int64_t voxels, int cout, float4* moments) {
  auto* scratch = sharedMemory<float>();
  const auto lane = static_cast<int>(threadIdx.x) % 32, row = static_cast<int>(threadIdx.x) / 32;
  const int c = static_cast<int>(blockIdx.y) * kFinishChannels + lane;
  const int64_t sample = blockIdx.z, first = int64_t{blockIdx.x} * kFinishVoxels;
  const float b = bias && c < cout ? ld(bias + c) : 0.0f;
  float value[kFinishEach];
  RVX_UNROLL
  for (int i = 0; i < kFinishEach; ++i) {
    const int64_t v = first + row + i * kFinishRows;
    value[i] = 0;
    if (v >= voxels || c >= cout) continue;
    const int64_t at = (sample * voxels + v) * cout + c;
    float sum = 0;
    for (int s = 0; s < splits; ++s) sum += ld(partial + s * split + at);
    value[i] = sum + b;
    storeOne(type, y, at, value[i]);
  }
  if (!moments) return;
  const int count =
      static_cast<int>(voxels - first < kFinishVoxels ? voxels - first : kFinishVoxels);
  const auto total = [&](float mine) {
    sts(scratch + row * 32 + lane, mine);
    syncBlock();
    float sum = 0;
    for (int r = 0; r < kFinishRows; ++r) sum += lds(scratch + r * 32 + lane);
    syncBlock();
    return sum;
  };
  float mine = 0;
  RVX_UNROLL
  for (int i = 0; i < kFinishEach; ++i) mine += value[i];
  const float pivot = total(mine) / static_cast<float>(count);
  float deviation = 0, square = 0;
  RVX_UNROLL
  for (int i = 0; i < kFinishEach; ++i) {
    const float d = first + row + i * kFinishRows < voxels ? value[i] - pivot : 0.0f;
    deviation += d;
    square = fma(d, d, square);
  }
  deviation = total(deviation);
  square = total(square);
  if (row == 0 && c < cout)
    st(moments + (sample * gridDim.x + blockIdx.x) * cout + c,
       make_float4(pivot, deviation, square, static_cast<float>(count)));
}

constexpr int kMergeRows = 32;

// Mean and M2 of a sample's channels from the blocks' moments: 32 channels, in kMergeRows parts that are added in order.
RVX_KERNEL(32 * kMergeRows)
mergeMoments(const float4* moments, int64_t blocks, int cout, float* sums) {
  auto* scratch = sharedMemory<double>();
  const auto lane = static_cast<int>(threadIdx.x) % 32, row = static_cast<int>(threadIdx.x) / 32;
  const int c = static_cast<int>(blockIdx.x) * 32 + lane;
  const int64_t sample = blockIdx.y;
  const bool real = c < cout;
  const float4* from = moments + sample * blocks * cout + (real ? c : 0);
  const double pivot = static_cast<double>(ld(from).x);
  double count = 0, deviation = 0, square = 0;
  for (int64_t b = row; b < blocks; b += kMergeRows) {
    const float4 m = ld(from + b * cout);
    const double d = static_cast<double>(m.x) - pivot, n = static_cast<double>(m.w),
                 s = static_cast<double>(m.y);
    count += n;
    deviation += s + n * d;
    square += static_cast<double>(m.z) + (2 * s + n * d) * d;
  }
  const auto total = [&](double mine) {
    sts(scratch + row * 32 + lane, mine);
    syncBlock();
    double sum = 0;
    if (row == 0)
      for (int r = 0; r < kMergeRows; ++r) sum += lds(scratch + r * 32 + lane);
    syncBlock();
    return sum;
  };
  count = total(count);
  deviation = total(deviation);
  square = total(square);
  if (row != 0 || !real) return;
  const double mean = deviation / count, m2 = square - deviation * mean;
  st(sums + (sample * cout + c) * 2, static_cast<float>(pivot + mean));
  st(sums + (sample * cout + c) * 2 + 1, static_cast<float>(m2 > 0 ? m2 : 0.0));
}

int64_t voxelsOf(const ExactGather& g) { return g.outSize[0] * g.outSize[1] * g.outSize[2]; }

}  // namespace

int64_t exactSplitBlocks(int64_t voxels) { return (voxels + kFinishVoxels - 1) / kFinishVoxels; }

void addExactSplits(Context& cx, const std::string& name, const ExactGather& g,
                    const float* partials, int64_t splits, float4* moments) {
  const int64_t voxels = voxelsOf(g);
  launch(cx, (name + "/add").c_str(),
         Dim3{blocksFor(exactSplitBlocks(voxels), 1), blocksFor(g.cout, kFinishChannels),
              static_cast<unsigned>(g.samples)},
         kFinishChannels * kFinishRows, kFinishChannels * kFinishRows * sizeof(float), &addSplits,
         partials, static_cast<int>(splits), g.samples * voxels * g.cout, g.bias, g.y, g.type,
         voxels, checkedInt(g.cout), moments);
}

void mergeExactMoments(Context& cx, const std::string& name, const ExactGather& g,
                       const float4* moments, int64_t blocks) {
  launch(cx, (name + "/moments").c_str(),
         Dim3{blocksFor(g.cout, 32), static_cast<unsigned>(g.samples), 1}, 32 * kMergeRows,
         32 * kMergeRows * sizeof(double), &mergeMoments, moments, blocks, checkedInt(g.cout),
         g.sums);
}

}  // namespace rvx::cuda
