// Optimisers and what goes with them, each over a whole list of f32 tensors in one operation.
#pragma once
#include "ops/operation.h"

namespace rvx {

// Checks that a list of tensors has the shapes of the parameters.
template <class List>
void requireShapesOf(const std::vector<InOut>& parameters, const List& others, const char* what) {
  require(parameters.size() == others.size(), "ShapeMismatch",
          [&] { return "Expected as many tensors as parameters for " + std::string(what); });
  for (size_t i = 0; i < parameters.size(); ++i)
    requireShape(others[i].shape(), parameters[i].shape(), what);
}

// Step `step` (from 1) of Adam (Kingma and Ba 2015). With g the gradient, plus weightDecay p unless
// decoupled; p shrunk by lr weightDecay p if decoupled (AdamW, Loshchilov and Hutter 2019):
// m = b1 m + (1 - b1) g, v = b2 v + (1 - b2) g^2,
// p -= lr / (1 - b1^step) m / (sqrt(v / (1 - b2^step)) + eps).
struct Adam {
  static constexpr const char* name = "adam";
  std::vector<InOut> parameters;
  std::vector<Input> gradients;
  std::vector<InOut> first, second;
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0;
  int64_t step = 1;
  bool decoupled = false;

  template <class V>
  void fields(V& v) {
    v(parameters, "parameters"), v(gradients, "gradients"), v(first, "first"), v(second, "second"),
        v(lr, "lr"), v(beta1, "beta1"), v(beta2, "beta2"), v(eps, "eps"),
        v(weightDecay, "weightDecay"), v(step, "step"), v(decoupled, "decoupled");
  }
  void infer() {
    requireShapesOf(parameters, gradients, "gradients");
    requireShapesOf(parameters, first, "first moments");
    requireShapesOf(parameters, second, "second moments");
    require(step >= 1, "InvalidArgument", "Expected a step of at least 1");
  }
};

// g += weightDecay p; m = momentum m + g; p -= lr (nesterov ? g + momentum m : m).
struct Sgd {
  static constexpr const char* name = "sgd";
  std::vector<InOut> parameters;
  std::vector<Input> gradients;
  std::vector<InOut> momenta;
  double lr = 1e-2, momentum = 0, weightDecay = 0;
  bool nesterov = false;

  template <class V>
  void fields(V& v) {
    v(parameters, "parameters"), v(gradients, "gradients"), v(momenta, "momenta"), v(lr, "lr"),
        v(momentum, "momentum"), v(weightDecay, "weightDecay"), v(nesterov, "nesterov");
  }
  void infer() {
    requireShapesOf(parameters, gradients, "gradients");
    requireShapesOf(parameters, momenta, "momenta");
  }
};

// norm [1] = sqrt of the sum of squares of all values of all tensors.
struct GradientNorm {
  static constexpr const char* name = "gradientNorm";
  std::vector<Input> gradients;
  Output norm;

  template <class V>
  void fields(V& v) {
    v(gradients, "gradients"), v(norm, "norm");
  }
  void infer() { norm.is({1}); }
};

// The norm as above, before clipping; then all gradients *= min(1, maxNorm / (norm + 1e-6)).
struct ClipGradients {
  static constexpr const char* name = "clipGradients";
  std::vector<InOut> gradients;
  Output norm;
  double maxNorm = 1;

  template <class V>
  void fields(V& v) {
    v(gradients, "gradients"), v(norm, "norm"), v(maxNorm, "maxNorm");
  }
  void infer() { norm.is({1}); }
};

// averages = decay averages + (1 - decay) parameters.
struct Average {
  static constexpr const char* name = "average";
  std::vector<InOut> averages;
  std::vector<Input> parameters;
  double decay = 0.999;

  template <class V>
  void fields(V& v) {
    v(averages, "averages"), v(parameters, "parameters"), v(decay, "decay");
  }
  void infer() { requireShapesOf(averages, parameters, "parameters"); }
};

// finite [1], i32: 1 if no value of any tensor is infinite or NaN, else 0.
struct AllFinite {
  static constexpr const char* name = "allFinite";
  std::vector<Input> tensors;
  Output finite;

  template <class V>
  void fields(V& v) {
    v(tensors, "tensors"), v(finite, "finite");
  }
  void infer() { finite.is({1}, DType::i32); }
};

using OptimiserOperations =
    OperationList<Adam, Sgd, GradientNorm, ClipGradients, Average, AllFinite>;

}  // namespace rvx
