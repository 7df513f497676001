// acquire and raggedMask (ops/drawing.h): separable Gaussian blurs by direct sums, white noise by
// hashes, window and mask in the last pass. Split by rows or slices; sums in a fixed order.
#include <algorithm>
#include <vector>

#include "core/pool.h"
#include "ops/acquireTaps.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// y = x blurred along one axis (0, 1, 2 = D, H, W); the border's value continues outside.
void blurAxis(const float* x, float* y, const Shape& s, int axis, const std::vector<float>& k) {
  const int64_t n[3] = {s[1], s[2], s[3]};
  const int64_t stride = axis == 0 ? n[1] * n[2] : axis == 1 ? n[2] : 1, last = n[axis] - 1;
  const auto radius = static_cast<int64_t>(k.size() / 2);
  parallelFor(n[0], [&](int64_t d) {
    for (int64_t h = 0; h < n[1]; ++h) {
      const int64_t row = (d * n[1] + h) * n[2];
      float* out = y + row;
      std::fill_n(out, n[2], 0.0f);
      for (int64_t j = -radius; j <= radius; ++j) {
        const float weight = k[static_cast<size_t>(j + radius)];
        if (axis == 2) {
          const float* in = x + row;
          const int64_t low = std::min(std::max<int64_t>(-j, 0), n[2]),
                        high = std::max(std::min(n[2] - j, n[2]), low);
          for (int64_t w = 0; w < low; ++w) out[w] += weight * in[0];
          for (int64_t w = low; w < high; ++w) out[w] += weight * in[w + j];
          for (int64_t w = high; w < n[2]; ++w) out[w] += weight * in[last];
        } else {
          const int64_t here = axis == 0 ? d : h;
          const int64_t there = std::min(std::max<int64_t>(here + j, 0), last);
          const float* in = x + row + (there - here) * stride;
          for (int64_t w = 0; w < n[2]; ++w) out[w] += weight * in[w];
        }
      }
    }
  });
}

// Blurs along the axes whose kernel is longer than one. `a` holds the input; the result lies in the
// array that is returned, a or b.
float* blurAll(float* a, float* b, const Shape& s, const std::vector<float>* kernels) {
  for (int axis = 0; axis < 3; ++axis) {
    if (kernels[axis].size() == 1) continue;
    blurAxis(a, b, s, axis, kernels[axis]);
    std::swap(a, b);
  }
  return a;
}

}  // namespace

template <>
void run(const Acquire& op, Context& cx) {
  const Shape& s = op.x.shape();
  if (s.size() == 0) return;
  const int64_t size = s.size(), row = s[2] * s[3];
  const auto bytes = static_cast<size_t>(size) * sizeof(float);
  std::vector<float> blur[3], noiseBlur[3];
  for (size_t i = 0; i < 3; ++i)
    blur[i] = kernelOf(op.blur[i]), noiseBlur[i] = kernelOf(op.noiseBlur[i]);

  Workspace a(cx, bytes), b(cx, bytes);
  std::copy_n(op.x.data(), size, a.data());
  float* image = blurAll(a.data(), b.data(), s, blur);
  if (op.noise > 0) {
    Workspace c(cx, bytes);
    float* spare = image == a.data() ? b.data() : a.data();
    const auto seed = static_cast<uint32_t>(op.seed);
    float* white = c.data();
    parallelFor(s[1], [&](int64_t d) {
      for (int64_t i = d * row; i < (d + 1) * row; ++i)
        white[i] = normalNoise(static_cast<uint32_t>(i), seed);
    });
    const float* noise = blurAll(white, spare, s, noiseBlur);
    const float scale = noiseScale(op.noise, noiseBlur);
    parallelFor(s[1], [&](int64_t d) {
      for (int64_t i = d * row; i < (d + 1) * row; ++i) image[i] += scale * noise[i];
    });
  }

  const DisplayWindow window(op.low, op.high);
  const float bottom = window.bottom();
  const auto* mask = op.mask.data<uint8_t>();
  const int64_t channels = op.y.shape[4];
  float* y = op.y.data();
  parallelFor(s[1], [&](int64_t d) {
    for (int64_t i = d * row; i < (d + 1) * row; ++i) {
      const float v = window(image[i]);
      if (channels == 2) {
        y[2 * i] = v, y[2 * i + 1] = mask[i] ? 1.0f : 0.0f;
      } else {
        y[i] = mask && !mask[i] ? bottom : v;
      }
    }
  });
}

template <>
void run(const RaggedMask& op, Context& cx) {
  const Shape& s = op.map.shape();
  if (s.size() == 0) return;
  const int64_t row = s[2] * s[3];
  const auto bytes = static_cast<size_t>(s.size()) * sizeof(float);
  const std::vector<float> kernel = kernelOf(op.blur);
  const std::vector<float> kernels[3] = {kernel, kernel, kernel};
  Workspace a(cx, bytes), b(cx, bytes);
  const auto* map = op.map.data<uint8_t>();
  float* region = a.data();
  parallelFor(s[1], [&](int64_t d) {
    for (int64_t i = d * row; i < (d + 1) * row; ++i)
      region[i] = map[i] >= op.first && map[i] <= op.last ? 1.0f : 0.0f;
  });
  const float* soft = blurAll(region, b.data(), s, kernels);
  const RaggedOutline outline = outlineOf(op);
  auto* mask = op.mask.data<uint8_t>();
  parallelFor(s[1], [&](int64_t d) {
    for (int64_t h = 0, i = d * row; h < s[2]; ++h)
      for (int64_t w = 0; w < s[3]; ++w, ++i) mask[i] = outline.inside(soft[i], d, h, w);
  });
}

}  // namespace rvx::cpu
