// labelHistograms: how often each whole value of an image, or of a difference of two, occurs in each label (ops/labels.h,
// math/histogram.h).
//
// Warps walk the map's words (labelWords.h), one voxel a lane, and lanes in a label look at its neighbours if only the interior counts,
// read the image and add 1 to a counter in global memory: integers, so their order does not matter. Least bytes: one read of the map, and
// of the image where the map is not 0. FLOPs: one a voxel, of differences.
//
// Limits: fewer than 2^31 voxels, 1 to 255 labels, 2 to 65536 bins from -10^6 to 10^6 on (ops/labels.h): counters of 67 MB at most. Voxels of one
// value in one label wait for each other, but masses are small. Larger and smaller values count in the end bins.
#include "cuda/labelWords.h"
#include "math/histogram.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

// What is counted: an image, less another one if there is one, of any type that resampling takes.
struct Source {
  const void* data;
  DType type;

  RVX_DEVICE float at(int64_t i) const {
    switch (type) {
      case DType::u8:
        return static_cast<float>(ld(static_cast<const uint8_t*>(data) + i));
      case DType::i16:
        return static_cast<float>(ld(static_cast<const int16_t*>(data) + i));
      case DType::i32:
        return static_cast<float>(ld(static_cast<const int32_t*>(data) + i));
      default:
        return ld(static_cast<const float*>(data) + i);
    }
  }
};

struct Counting {
  Source image, minus;  // minus.data is null for none
  int32_t depth, labels, low, bins;
  bool interior;
};

template <class T>
RVX_KERNEL(kLabelThreads)
countValues(const T* map, LabelWords g, Counting c, int32_t* counts) {
  const auto warp = static_cast<int32_t>(threadIdx.x / 32);
  const auto lane = static_cast<int32_t>(threadIdx.x % 32);
  const int64_t step = int64_t{gridDim.x} * kLabelWarps, strips = g.allStrips();
  const int64_t plane = int64_t{g.height} * g.width;
  for (int64_t s = int64_t{blockIdx.x} * kLabelWarps + warp; s < strips; s += step) {
    const Strip strip(g, static_cast<int32_t>(s));
    const int32_t d = strip.row / g.height, h = strip.row - d * g.height;
    const bool inside = d > 0 && d + 1 < c.depth && h > 0 && h + 1 < g.height;
    forEachWord(g, strip, map, [&](int32_t word, T value) {
      if (value <= 0 || value > c.labels) return;
      const int32_t w = word * kWordVoxels + lane;
      const int64_t i = int64_t{strip.row} * g.width + w;
      if (c.interior) {
        if (!inside || w == 0 || w + 1 == g.width) return;
        const T* at = map + i;
        if (ld(at - 1) != value || ld(at + 1) != value || ld(at - g.width) != value ||
            ld(at + g.width) != value || ld(at - plane) != value || ld(at + plane) != value)
          return;
      }
      const float v = c.minus.data ? c.image.at(i) - c.minus.at(i) : c.image.at(i);
      const int32_t bin = histogramBin(v, c.low, c.bins);
      if (bin >= 0)
        atomicAdd(counts + (static_cast<int64_t>(value) - 1) * c.bins + bin, int32_t{1});
    });
  }
}

}  // namespace

template <>
void run(const LabelHistograms& op, Context& cx) {
  const Int3 size = volumeSize(op.map.shape(), "map");
  const LabelWords g(size);
  Counting c{};
  c.image = {op.image.data<void>(), op.image.dtype()};
  c.minus = {op.minus.data<void>(), op.minus ? op.minus.dtype() : DType::f32};
  c.depth = static_cast<int32_t>(size[0]);
  c.labels = static_cast<int32_t>(op.labels);
  c.low = static_cast<int32_t>(op.low);
  c.bins = static_cast<int32_t>(op.bins);
  c.interior = op.interior;
  auto* counts = op.counts.data<int32_t>();
  gpu(cx).fill(counts, 0, op.counts.tensor.bytes());
  withLabelType(op.map, [&](auto* map) {
    using T = std::remove_const_t<std::remove_pointer_t<decltype(map)>>;
    launch(cx, "labelHistograms", labelBlocks(g), kLabelThreads, 0, &countValues<T>, map, g, c,
           counts);
  });
}

}  // namespace rvx::cuda
