// Operations that move voxels or look at their neighbourhood: crop, pad, flip, blur, window, stacks,
// masks, noise. Resampling is in sampling.h. Volumes are [N, D, H, W, C], or [N, D, H, W] for C = 1.
#pragma once
#include <algorithm>

#include "math/intensity.h"
#include "ops/operation.h"
#include "ops/sampling.h"

namespace rvx {

// Value i = mean + deviation * normal(seed, stream, i): depends on nothing else.
struct RandomNormal {
  static constexpr const char* name = "randomNormal";
  Output y;
  std::vector<double> shape;
  int64_t seed = 0, stream = 0;
  double mean = 0, deviation = 1;

  template <class V>
  void fields(V& v) {
    v(y, "y"), v(shape, "shape"), v(seed, "seed"), v(stream, "stream"), v(mean, "mean"),
        v(deviation, "deviation");
  }
  void infer() { y.is(shapeFrom(shape)); }
};

// Value i = low + (high - low) * uniform(seed, stream, i), uniform in [0, 1).
struct RandomUniform {
  static constexpr const char* name = "randomUniform";
  Output y;
  std::vector<double> shape;
  int64_t seed = 0, stream = 0;
  double low = 0, high = 1;

  template <class V>
  void fields(V& v) {
    v(y, "y"), v(shape, "shape"), v(seed, "seed"), v(stream, "stream"), v(low, "low"),
        v(high, "high");
  }
  void infer() { y.is(shapeFrom(shape)); }
};

// Separable Gaussian; taps exp(-k^2 / (2 sigma^2)) for |k| <= floor(truncate * sigma + 0.5),
// normalised to sum 1. Outside the volume the nearest voxel counts.
struct GaussianBlur {
  static constexpr const char* name = "gaussianBlur";
  Input x;
  Output y;
  Real3 sigma{0, 0, 0};  // voxels
  double truncate = 4;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(sigma, "sigma"), v(truncate, "truncate");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    volumeAxes(x, "x");
    y.like(x);
  }
};

// y[n, o, c] = x[n, start + o, c], `fill` outside x: crops where it stays inside, pads where it
// reaches out.
struct Crop {
  static constexpr const char* name = "crop";
  Input x;
  Output y;
  Int3 start{0, 0, 0}, size{0, 0, 0};
  double fill = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(start, "start"), v(size, "size"), v(fill, "fill");
  }
  void infer() {
    volumeAxes(x, "x");
    y.like(x);
    for (int i = 0; i < 3; ++i) y.shape[i + 1] = size[size_t(i)];
  }
};

// y[n, o, c] = x[n, o mirrored along the axes whose flag is not zero, c].
struct Flip {
  static constexpr const char* name = "flip";
  Input x;
  Output y;
  Int3 axes{0, 0, 0};

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(axes, "axes");
  }
  void infer() {
    volumeAxes(x, "x");
    y.like(x);
  }
};

// See math/window.h for the formula; any type of input, f32 out.
struct HounsfieldWindow {
  static constexpr const char* name = "hounsfieldWindow";
  Input x;
  Output y;
  double slope = 1, intercept = 0;  // stored value to HU
  double level = 30, width = 300;   // HU
  double low = 0, high = 1;         // what the window's ends become

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(slope, "slope"), v(intercept, "intercept"), v(level, "level"),
        v(width, "width"), v(low, "low"), v(high, "high");
  }
  void infer() { y.is(x.shape()); }
};

// All items one after the other along the first axis.
struct Stack {
  static constexpr const char* name = "stack";
  std::vector<Input> items;
  Output y;

  template <class V>
  void fields(V& v) {
    v(items, "items"), v(y, "y");
  }
  void infer() {
    require(!items.empty(), "InvalidArgument", "Expected at least one tensor to stack");
    y.like(items[0]);
    for (size_t i = 1; i < items.size(); ++i) {
      Shape s = items[i].shape();
      y.shape[0] += s[0];
      s[0] = items[0].shape()[0];
      requireShape(s, items[0].shape(), "items (but for the first axis)");
      requireType(items[i], items[0].dtype(), "items");
    }
  }
};

// y[i] = x[from + i] along the first axis for i in 0..count-1, zeros where x has no such sample.
struct SliceBatch {
  static constexpr const char* name = "sliceBatch";
  Input x;
  Output y;
  int64_t from = 0, count = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y"), v(from, "from"), v(count, "count");
  }
  void infer() {
    y.like(x);
    y.shape[0] = count;
  }
};

// y[v, c] = x[v, c] where mask[v] != 0, `value` elsewhere.
struct MaskOutside {
  static constexpr const char* name = "maskOutside";
  Input x, mask;
  Output y;
  double value = 0;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(mask, "mask"), v(y, "y"), v(value, "value");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    requireType(mask, DType::u8, "mask");
    const std::array<int64_t, 5> s = volumeAxes(x, "x"), m = volumeAxes(mask, "mask");
    require(std::equal(s.begin(), s.end() - 1, m.begin()) && m[4] == 1, "ShapeMismatch", [&] {
      return "The mask " + mask.shape().text() + " does not fit " + x.shape().text();
    });
    y.like(x);
  }
};

// y = 1 where the label is one of `values`, else 0.
struct MaskEquals {
  static constexpr const char* name = "maskEquals";
  Input labels;
  Output y;
  std::vector<double> values;

  template <class V>
  void fields(V& v) {
    v(labels, "labels"), v(y, "y"), v(values, "values");
  }
  void infer() { y.is(labels.shape(), DType::u8); }
};

// y = x with its brightness, contrast and gamma changed: math/intensity.h. `mean` [N, C] is the mean of x over space; without it
// contrast stays.
struct AdjustIntensity {
  static constexpr const char* name = "adjustIntensity";
  Input x;
  OptionalInput mean;
  Output y;
  double brightness = 1, contrast = 1, gamma = 1, low = 0, high = 1;
  bool invert = false;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(mean, "mean"), v(y, "y"), v(brightness, "brightness"), v(contrast, "contrast"),
        v(gamma, "gamma"), v(low, "low"), v(high, "high"), v(invert, "invert");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    const std::array<int64_t, 5> s = volumeAxes(x, "x");
    if (mean) requireShape(mean.shape(), {s[0], s[4]}, "mean");
    y.like(x);
  }
  Intensity intensity() const {
    Intensity k;
    k.brightness = static_cast<float>(brightness), k.contrast = static_cast<float>(contrast);
    k.gamma = static_cast<float>(gamma);
    k.low = static_cast<float>(low), k.high = static_cast<float>(high);
    k.invert = invert, k.clip = static_cast<bool>(mean), k.curve = gamma != 1;
    return k;
  }
};

using SpatialOperations =
    OperationList<Resample, ResampleGrad, ResampleArgmax, ResampleArgmaxInto, RandomNormal,
                  RandomUniform, GaussianBlur, Crop, Flip, HounsfieldWindow, Stack, SliceBatch,
                  MaskOutside, MaskEquals, AdjustIntensity>;

}  // namespace rvx
