// labelHistograms: how often each whole value of an image, or of a difference of two, occurs in each label.
//
// Work is per run of a label, since label maps are mostly background. Least bytes: one read of the map, and of the image where the
// map is not 0. Split: rows; counts are integers that threads add to one table, so their order does not matter.
#include <algorithm>

#include "core/pool.h"
#include "cpu/label_rows.h"
#include "math/histogram.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// An image of any type that resampling takes, read as float.
class Voxels {
 public:
  explicit Voxels(const Input& x) : type_(x.dtype()), data_(x.data<void>()) {}
  float operator[](int64_t i) const {
    switch (type_) {
      case DType::u8:
        return static_cast<const uint8_t*>(data_)[i];
      case DType::i16:
        return static_cast<const int16_t*>(data_)[i];
      case DType::i32:
        return static_cast<float>(static_cast<const int32_t*>(data_)[i]);
      default:
        return static_cast<const float*>(data_)[i];
    }
  }

 private:
  DType type_;
  const void* data_;
};

template <class T>
void count(const T* labels, const LabelHistograms& op) {
  const auto [D, H, W] = volumeSize(op.map.shape(), "map");
  const int64_t height = H, width = W, plane = H * W, depth = D, n = op.labels;
  const Voxels image(op.image);
  const bool difference = static_cast<bool>(op.minus);
  const Voxels minus(difference ? op.minus : op.image);
  const auto low = static_cast<int32_t>(op.low), bins = static_cast<int32_t>(op.bins);
  int32_t* counts = op.counts.data<int32_t>();
  std::fill(counts, counts + op.counts.shape.size(), 0);
  parallelRows(depth * height, [&](int64_t first, int64_t last) {
    for (int64_t row = first; row < last; ++row) {
      const int64_t d = row / height, h = row % height;
      // Whether the rows before and behind, in both directions, are there.
      const bool inside = d > 0 && d + 1 < depth && h > 0 && h + 1 < height;
      const T* line = labels + row * width;
      forEachLabelRun(line, width, [&](int64_t begin, int64_t end, T value) {
        if (value <= 0 || value > n) return;
        int32_t* own = counts + (static_cast<int64_t>(value) - 1) * bins;
        if (op.interior && !inside) return;
        // The ends of a run border on another label or on the edge.
        const int64_t from = op.interior ? begin + 1 : begin, to = op.interior ? end - 1 : end;
        for (int64_t w = from; w < to; ++w) {
          const T* at = line + w;
          if (op.interior && !(at[-width] == value && at[width] == value && at[-plane] == value &&
                               at[plane] == value))
            continue;
          const int64_t i = row * width + w;
          const int32_t bin = histogramBin(difference ? image[i] - minus[i] : image[i], low, bins);
          if (bin >= 0) __atomic_fetch_add(own + bin, 1, __ATOMIC_RELAXED);
        }
      });
    }
  });
}

}  // namespace

template <>
void run(const LabelHistograms& op, Context&) {
  withLabelType(op.map, [&](auto* labels) { count(labels, op); });
}

}  // namespace rvx::cpu
