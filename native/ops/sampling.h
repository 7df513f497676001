// Resampling: volumes and label maps read at the voxels of another grid.
//
// Voxel-centre convention: index (d, h, w) is a voxel's centre. `affine` maps the output's index to
// the input's, index_in = A [d, h, w, 1]; it may come as a tensor `map` f64 or f32 [12] or [N, 12]
// instead (with f32, positions carry the rounding of floats, about 1e-4 voxel at 512 voxels).
#pragma once
#include <cmath>

#include "math/window.h"
#include "ops/operation.h"

namespace rvx {

// [N, D, H, W, C] of a volume of four or five axes.
inline std::array<int64_t, 5> volumeAxes(const Shape& s, const char* what) {
  require(s.rank == 4 || s.rank == 5, "ShapeMismatch", [&] {
    return std::string("Expected a volume [N,D,H,W,C] or [N,D,H,W] for tensor ") + what +
           " but received shape " + s.text();
  });
  return {s[0], s[1], s[2], s[3], s.rank == 5 ? s[4] : 1};
}
inline std::array<int64_t, 5> volumeAxes(const Input& x, const char* what) {
  return volumeAxes(x.shape(), what);
}
inline Shape shapeFrom(const std::vector<double>& dims) {
  Shape s;
  for (double d : dims) s.push(static_cast<int64_t>(d));
  return s;
}

// How a volume is read, in common to resample and its gradient.
struct Sampling {
  std::string mode = "trilinear";   // or nearest
  std::string outside = "fill";     // voxels outside the input: `fill`, or the nearest one (border)
  double fill = 0;                  // in the result's units
  std::string prefilter = "none";   // box: average over the output voxel's footprint
  double slope = 1, intercept = 0;  // stored value to HU
  bool windowed = false;            // whether HU go through the window before interpolation
  double level = 30, width = 300, low = 0, high = 1;

  template <class V>
  void fields(V& v) {
    v(mode, "mode"), v(outside, "outside"), v(fill, "fill"), v(prefilter, "prefilter"),
        v(slope, "slope"), v(intercept, "intercept"), v(windowed, "windowed"), v(level, "level"),
        v(width, "width"), v(low, "low"), v(high, "high");
  }
  bool nearest() const { return mode == "nearest"; }
  bool border() const { return outside == "border"; }
  bool box() const { return prefilter == "box"; }
  Window window() const {
    return windowed ? hounsfieldWindow(slope, intercept, level, width, low, high)
                    : linearWindow(slope, intercept);
  }
};

inline void requireMap(const OptionalInput& map, int64_t samples) {
  if (!map) return;
  require(map.dtype() == DType::f32 || map.dtype() == DType::f64, "DtypeMismatch", [&] {
    return std::string("Expected f32 or f64 for tensor affine but received ") + nameOf(map.dtype());
  });
  require(map.shape() == Shape{12} || map.shape() == Shape{samples, 12}, "ShapeMismatch", [&] {
    return "Expected shape [12] or [" + std::to_string(samples) +
           ",12] for tensor affine but received " + map.shape().text();
  });
}

// What every backend asks of an affine, wherever its numbers come from.
inline void requireNumbers(const Affine& affine) {
  for (double v : affine)
    require(std::fabs(v) <= 1e9, "InvalidArgument", [&] {
      return "Expected numbers from -1e9 to 1e9 in the affine but received " + std::to_string(v);
    });
}

// y[n, o, c] = sum over input voxels i of weight(A o - i) * window(x[n, i, c]).
// trilinear: f32 out. nearest: the voxel floor(A o + 0.5), the input's type out.
struct Resample {
  static constexpr const char* name = "resample";
  Input x;
  OptionalInput map;
  Output y;
  Int3 size{0, 0, 0};
  Affine affine{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  Sampling sampling;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(map, "map"), v(y, "y"), v(size, "size"), v(affine, "affine");
    sampling.fields(v);
  }
  void infer() {
    const std::array<int64_t, 5> s = volumeAxes(x, "x");
    requireMap(map, s[0]);
    y.is(x.shape(), sampling.nearest() ? x.dtype() : DType::f32);
    for (int i = 0; i < 3; ++i) y.shape[i + 1] = size[size_t(i)];
  }
};

// dx[n, i, c] = window'(x[n, i, c]) * sum over o of weight(A o - i) * dy[n, o, c]; `size` is the
// input's. x is needed only where there is a window.
struct ResampleGrad {
  static constexpr const char* name = "resampleGrad";
  Input dy;
  OptionalInput x, map;
  Output dx;
  Int3 size{0, 0, 0};
  Affine affine{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  Sampling sampling;

  template <class V>
  void fields(V& v) {
    v(dy, "dy"), v(x, "x"), v(map, "map"), v(dx, "dx"), v(size, "size"), v(affine, "affine");
    sampling.fields(v);
  }
  void infer() {
    requireType(dy, DType::f32, "dy");
    const std::array<int64_t, 5> s = volumeAxes(dy, "dy");
    requireMap(map, s[0]);
    dx.like(dy);
    for (int i = 0; i < 3; ++i) dx.shape[i + 1] = size[size_t(i)];
    if (x) requireShape(x.shape(), dx.shape, "x");
  }
};

// Which label an output voxel gets: k = argmax over c of the C logits interpolated there (the lowest
// of equals; 0 outside the logits' voxels). With `components` a voxel with k > 0 gets k = the
// component of the nearest of the eight neighbours that has one, 0 if none has. At last k becomes
// table[k] or labels[k], where given, 0 beyond their ends; what exceeds 255 becomes 255.
struct ArgmaxLabels {
  OptionalInput map, components, table;
  Affine affine{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};
  std::vector<double> labels;

  template <class V>
  void fields(V& v) {
    v(map, "map"), v(components, "components"), v(table, "table"), v(affine, "affine"),
        v(labels, "labels");
  }
  void check(const Input& logits) const {
    requireType(logits, DType::f32, "logits");
    requireRank(logits, 5, "logits");
    const Shape& s = logits.shape();
    require(s[0] == 1 && s[4] >= 1 && s[4] <= 256, "ShapeMismatch", [&] {
      return "Expected logits [1,D,H,W,C] with 1 to 256 classes but received " + s.text();
    });
    requireMap(map, 1);
    if (components) {
      const std::array<int64_t, 5> c = volumeAxes(components, "components");
      requireShape(Shape{c[0], c[1], c[2], c[3], c[4]}, {1, s[1], s[2], s[3], 1}, "components");
      require(components.dtype() == DType::u8 || components.dtype() == DType::i32, "DtypeMismatch",
              "Expected u8 or i32 for tensor components");
    }
    if (table) {
      requireRank(table, 1, "table");
      require(table.dtype() == DType::u8 || table.dtype() == DType::i32, "DtypeMismatch",
              "Expected u8 or i32 for tensor table");
    }
  }
};

// A new label map u8 [1, D, H, W].
struct ResampleArgmax {
  static constexpr const char* name = "resampleArgmax";
  Input logits;
  Output y;
  Int3 size{0, 0, 0};
  ArgmaxLabels labelling;

  template <class V>
  void fields(V& v) {
    v(logits, "logits"), v(y, "y"), v(size, "size");
    labelling.fields(v);
  }
  void infer() {
    labelling.check(logits);
    y.is({1, size[0], size[1], size[2]}, DType::u8);
  }
};

// Writes the labels that are not 0 into an existing map u8 and leaves the rest of it alone.
struct ResampleArgmaxInto {
  static constexpr const char* name = "resampleArgmaxInto";
  Input logits;
  InOut into;
  ArgmaxLabels labelling;

  template <class V>
  void fields(V& v) {
    v(logits, "logits"), v(into, "into");
    labelling.fields(v);
  }
  void infer() {
    labelling.check(logits);
    const std::array<int64_t, 5> s = volumeAxes(into.shape(), "into");
    require(into.dtype() == DType::u8 && s[0] == 1 && s[4] == 1, "ShapeMismatch", [&] {
      return "Expected a u8 label map [1,D,H,W] for tensor into but received " +
             std::string(nameOf(into.dtype())) + " " + into.shape().text();
    });
  }
};

}  // namespace rvx
