// Class scores over the last axis: softmax, argmax and the losses. p = softmax(logits) throughout;
// t_c is 1 where the target is class c, else 0.
#pragma once
#include <limits>

#include "ops/operation.h"

namespace rvx {

// An ignoreIndex that no label has: nothing is ignored.
constexpr int64_t kNoLabel = std::numeric_limits<int64_t>::min();

// Checks logits [..., C] and a target of one label a voxel.
inline void requireClasses(const Input& logits, const Input& target) {
  requireType(logits, DType::f32, "logits");
  require(logits.shape().rank >= 1 && logits.shape().size() > 0, "ShapeMismatch",
          "Expected classes along the last axis of logits");
  require(target.dtype() == DType::u8 || target.dtype() == DType::i32, "DtypeMismatch",
          "Expected u8 or i32 for tensor target");
  require(target.shape().size() * logits.shape()[-1] == logits.shape().size(), "ShapeMismatch",
          [&] {
            return "Expected one label a voxel of " + logits.shape().text() +
                   " for tensor target " + target.shape().text();
          });
}

struct Softmax {
  static constexpr const char* name = "softmax";
  Input x;
  Output y;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    require(x.shape().rank >= 1, "ShapeMismatch", "Expected classes along the last axis of x");
    y.like(x);
  }
};

// dx_c = y_c (dy_c - sum over k of y_k dy_k).
struct SoftmaxGrad {
  static constexpr const char* name = "softmaxGrad";
  Input y, dy;
  Output dx;

  template <class V>
  void fields(V& v) {
    v(y, "y"), v(dy, "dy"), v(dx, "dx");
  }
  void infer() {
    requireShape(dy.shape(), y.shape(), "dy");
    dx.like(y);
  }
};

// The first index of the largest value of the last axis (at most 255), u8.
struct Argmax {
  static constexpr const char* name = "argmax";
  Input x;
  Output y;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(y, "y");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    const Shape& s = x.shape();
    require(s.rank >= 1 && s[-1] >= 1 && s[-1] <= 255, "ShapeMismatch",
            [&] { return "Expected 1 to 255 classes along the last axis of " + s.text(); });
    Shape out;
    for (int i = 0; i + 1 < s.rank; ++i) out.push(s[i]);
    y.is(out, DType::u8);
  }
};

// loss [1] = sum over voxels of w_t (log sum over c of exp(x_c) - x_t) / sum of w_t, t the voxel's
// target; voxels of the label ignoreIndex count in neither sum. `weight` [1] is the
// second sum. Without any weight the loss is 0. With a focus (0, or at least 1) a voxel's loss is the focal one (math/focal.h).
struct CrossEntropy {
  static constexpr const char* name = "crossEntropy";
  Input logits, target;
  Output loss, weight;
  std::vector<double> classWeights;
  int64_t ignoreIndex = kNoLabel;
  double focus = 0;

  template <class V>
  void fields(V& v) {
    v(logits, "logits"), v(target, "target"), v(loss, "loss"), v(weight, "weight"),
        v(classWeights, "classWeights"), v(ignoreIndex, "ignoreIndex"), v(focus, "focus");
  }
  void infer() {
    requireClasses(logits, target);
    require(classWeights.empty() || static_cast<int64_t>(classWeights.size()) == logits.shape()[-1],
            "InvalidArgument", "Expected one class weight a class");
    loss.is({1});
    weight.is({1});
  }
};

// dlogits_c = dloss w_t (p_c - t_c) / weight, with a focus times what math/focal.h says.
struct CrossEntropyGrad {
  static constexpr const char* name = "crossEntropyGrad";
  Input logits, target, weight, dloss;
  Output dlogits;
  std::vector<double> classWeights;
  int64_t ignoreIndex = kNoLabel;
  double focus = 0;

  template <class V>
  void fields(V& v) {
    v(logits, "logits"), v(target, "target"), v(weight, "weight"), v(dloss, "dloss"),
        v(dlogits, "dlogits"), v(classWeights, "classWeights"), v(ignoreIndex, "ignoreIndex"),
        v(focus, "focus");
  }
  void infer() {
    requireClasses(logits, target);
    requireShape(weight.shape(), {1}, "weight");
    requireShape(dloss.shape(), {1}, "dloss");
    dlogits.like(logits);
  }
};

// With sums over the voxels of a sample, I = 2 sum p_c t_c + smooth, U = sum p_c + sum t_c + smooth:
// loss [1] = 1 - mean over samples and classes of I / U, weighted by classWeights; class 0 counts
// with includeBackground only; with skipAbsent classes without a target voxel in a sample do not.
// `sums` [N, C, 3] holds sum p_c t_c, sum p_c, sum t_c. Without any class the loss is 0.
struct SoftDice {
  static constexpr const char* name = "softDice";
  Input logits, target;
  Output loss, sums;
  std::vector<double> classWeights;
  double smooth = 1e-5;
  bool includeBackground = false, skipAbsent = false;

  template <class V>
  void fields(V& v) {
    v(logits, "logits"), v(target, "target"), v(loss, "loss"), v(sums, "sums"),
        v(classWeights, "classWeights"), v(smooth, "smooth"),
        v(includeBackground, "includeBackground"), v(skipAbsent, "skipAbsent");
  }
  void infer() {
    requireClasses(logits, target);
    require(classWeights.empty() || static_cast<int64_t>(classWeights.size()) == logits.shape()[-1],
            "InvalidArgument", "Expected one class weight a class");
    loss.is({1});
    sums.is({logits.shape()[0], logits.shape()[-1], 3});
  }
};

// With q_c = dloss/dp_c = -w_c (2 t_c / U - I / U^2) / sum of w: dlogits_c = p_c (q_c - sum p_k q_k).
struct SoftDiceGrad {
  static constexpr const char* name = "softDiceGrad";
  Input logits, target, sums, dloss;
  Output dlogits;
  std::vector<double> classWeights;
  double smooth = 1e-5;
  bool includeBackground = false, skipAbsent = false;

  template <class V>
  void fields(V& v) {
    v(logits, "logits"), v(target, "target"), v(sums, "sums"), v(dloss, "dloss"),
        v(dlogits, "dlogits"), v(classWeights, "classWeights"), v(smooth, "smooth"),
        v(includeBackground, "includeBackground"), v(skipAbsent, "skipAbsent");
  }
  void infer() {
    requireClasses(logits, target);
    requireShape(sums.shape(), {logits.shape()[0], logits.shape()[-1], 3}, "sums");
    requireShape(dloss.shape(), {1}, "dloss");
    dlogits.like(logits);
  }
};

using ClassOperations = OperationList<Softmax, SoftmaxGrad, Argmax, CrossEntropy, CrossEntropyGrad,
                                      SoftDice, SoftDiceGrad>;

}  // namespace rvx
