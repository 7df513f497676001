// acquire and raggedMask (ops/drawing.h): separable Gaussian blurs by direct sums, white noise by
// hashes, window and mask in the last pass. Split by slices, each blurred along D, H and W in the scratch of its thread; sums in a fixed
// order.
#include "cpu/isa/acquire.h"

#include <algorithm>
#include <vector>

#include "core/pool.h"
#include "cpu/isa/blur.h"
#include "ops/acquireTaps.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Rows of a slice; where stride is greater than their width, whatever is between.
struct Slice {
  const float* data;
  int64_t stride;
};

// Blurs single slices of a volume; the border's value continues outside.
class SliceBlur {
 public:
  // slot: of the thread's scratch, where a slice lies until the next one is blurred; the next slot too.
  SliceBlur(const Shape& s, const std::vector<float>* kernels, int slot)
      : depth_(s[1]), height_(s[2]), width_(s[3]), kernels_(kernels), slot_(slot) {
    for (int k = 0; k < 3; ++k) radius_[k] = static_cast<int64_t>(kernels[k].size() / 2);
  }

  // Slice d of x, blurred along the axes whose kernel is longer than one.
  Slice operator()(const float* x, int64_t d) const {
    const int64_t area = height_ * width_, tall = area + 2 * radius_[1] * width_;
    const int64_t line = lineLength(), wide = roundedWidth();
    const int64_t floats = tall + area + kBand * line + height_ * wide;
    auto* scratch = static_cast<float*>(threadScratch(slot_, sizeof(float) * size_t(floats)));
    float *column = scratch, *slice = column + tall, *lines = slice + area,
          *blurred = lines + kBand * line;
    const float* now = x + d * area;
    if (radius_[0]) now = alongDepth(x, d, column + radius_[1] * width_);
    if (radius_[1]) now = alongHeight(now, column, slice);
    if (!radius_[2]) return {now, width_};
    alongWidth(now, lines, blurred);
    return {blurred, wide};
  }

 private:
  // Rows that are blurred along W at once.
  static constexpr int64_t kBand = 8;

  int64_t roundedWidth() const { return (width_ + kLineGrain - 1) / kLineGrain * kLineGrain; }
  int64_t lineLength() const { return roundedWidth() + 2 * radius_[2]; }

  const float** pointers(size_t count) const {
    return static_cast<const float**>(threadScratch(slot_ + 1, count * sizeof(const float*)));
  }

  const float* alongDepth(const float* x, int64_t d, float* y) const {
    const std::vector<float>& k = kernels_[0];
    const int64_t area = height_ * width_;
    const float** rows = pointers(k.size());
    for (size_t t = 0; t < k.size(); ++t)
      rows[t] = x + std::clamp<int64_t>(d + int64_t(t) - radius_[0], 0, depth_ - 1) * area;
    RVX_ISA_CALL(weightedRows)(rows, k.data(), int64_t(k.size()), area, y);
    return y;
  }

  // column: room for the slice and `radius` rows before and behind it. x may lie in its middle.
  const float* alongHeight(const float* x, float* column, float* y) const {
    const std::vector<float>& k = kernels_[1];
    const int64_t area = height_ * width_;
    float* middle = column + radius_[1] * width_;
    if (x != middle) std::copy_n(x, area, middle);
    for (int64_t r = 0; r < radius_[1]; ++r) {
      std::copy_n(middle, width_, column + r * width_);
      std::copy_n(middle + area - width_, width_, middle + area + r * width_);
    }
    const float** rows = pointers(k.size());
    for (size_t t = 0; t < k.size(); ++t) rows[t] = column + int64_t(t) * width_;
    RVX_ISA_CALL(weightedRows)(rows, k.data(), int64_t(k.size()), area, y);
    return y;
  }

  void alongWidth(const float* x, float* lines, float* y) const {
    const std::vector<float>& k = kernels_[2];
    const int64_t line = lineLength(), wide = roundedWidth(), radius = radius_[2];
    for (int64_t h = 0; h < height_; h += kBand) {
      const int64_t rows = std::min(kBand, height_ - h);
      for (int64_t r = 0; r < rows; ++r) {
        const float* from = x + (h + r) * width_;
        float* to = lines + r * line;
        std::fill_n(to, radius, from[0]);
        std::copy_n(from, width_, to + radius);
        std::fill(to + radius + width_, to + line, from[width_ - 1]);
      }
      RVX_ISA_CALL(blurLines)
      (lines, line, k.data(), int64_t(k.size()), rows, width_, y + h * wide, wide);
    }
  }

  const int64_t depth_, height_, width_;
  const std::vector<float>* const kernels_;
  const int slot_;
  int64_t radius_[3];
};

}  // namespace

template <>
void run(const Acquire& op, Context& cx) {
  const Shape& s = op.x.shape();
  if (s.size() == 0) return;
  const int64_t area = s[2] * s[3], width = s[3];
  std::vector<float> blur[3], noiseBlur[3];
  for (size_t i = 0; i < 3; ++i)
    blur[i] = kernelOf(op.blur[i]), noiseBlur[i] = kernelOf(op.noiseBlur[i]);
  const bool noisy = op.noise > 0;
  Workspace white(cx, noisy ? static_cast<size_t>(s.size()) * sizeof(float) : 0);
  const auto seed = static_cast<uint32_t>(op.seed);
  if (noisy)
    parallelFor(s[1], [&](int64_t d) {
      RVX_ISA_CALL(whiteNoise)
      (static_cast<uint32_t>(d * area), seed, area, white.data() + d * area);
    });
  const float scale = noisy ? noiseScale(op.noise, noiseBlur) : 0.0f;
  const DisplayWindow window(op.low, op.high);
  const auto* mask = op.mask.data<uint8_t>();
  const int64_t channels = op.y.shape[4];
  const SliceBlur image(s, blur, 0), noise(s, noiseBlur, 2);
  const float* x = op.x.data();
  float* y = op.y.data();
  parallelFor(s[1], [&](int64_t d) {
    const Slice seen = image(x, d), added = noisy ? noise(white.data(), d) : Slice{nullptr, 0};
    for (int64_t h = 0; h < s[2]; ++h) {
      const int64_t at = d * area + h * width;
      RVX_ISA_CALL(finishRow)
      (seen.data + h * seen.stride, noisy ? added.data + h * added.stride : nullptr, scale, window,
       mask ? mask + at : nullptr, channels == 2, width, y + channels * at);
    }
  });
}

template <>
void run(const RaggedMask& op, Context& cx) {
  const Shape& s = op.map.shape();
  if (s.size() == 0) return;
  const int64_t area = s[2] * s[3], width = s[3];
  const std::vector<float> kernel = kernelOf(op.blur);
  const std::vector<float> kernels[3] = {kernel, kernel, kernel};
  Workspace a(cx, static_cast<size_t>(s.size()) * sizeof(float));
  const auto* map = op.map.data<uint8_t>();
  float* region = a.data();
  parallelFor(s[1], [&](int64_t d) {
    for (int64_t i = d * area; i < (d + 1) * area; ++i)
      region[i] = map[i] >= op.first && map[i] <= op.last ? 1.0f : 0.0f;
  });
  const RaggedOutline outline = outlineOf(op);
  const SliceBlur blur(s, kernels, 0);
  auto* mask = op.mask.data<uint8_t>();
  parallelFor(s[1], [&](int64_t d) {
    const Slice soft = blur(region, d);
    auto* nodes = static_cast<float*>(
        threadScratch(2, sizeof(float) * static_cast<size_t>(outlineNodes(width))));
    for (int64_t h = 0; h < s[2]; ++h) RVX_ISA_CALL(outlineRow)
    (outline, soft.data + h * soft.stride, d, h, width, nodes, mask + d * area + h * width);
  });
}

}  // namespace rvx::cpu
