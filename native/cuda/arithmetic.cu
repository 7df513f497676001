// multiply: y = a b, and weightedSum: y = sum over k of factors[k] inputs[k], added in order. sum and its gradient are in sum.cu.
// Least bytes: every tensor once. multiply: 16 bytes of each tensor a thread (map.h).
//
// weightedSum takes up to kTerms inputs a launch, their addresses among the kernel's arguments, so that no table is uploaded; longer lists
// go on from what y holds. Its bits are the CPU's: each term is rounded before it is added. FLOPs: 1 a value of y; 2 for each term.
//
// Limits: f32 of equal shapes, no broadcasting (ops/arithmetic.h). Each further kTerms = 32 inputs of a weightedSum read and write y once more.
#include <algorithm>

#include "cuda/map.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

struct Product {
  RVX_DEVICE float operator()(float a, float b) const { return a * b; }
};

constexpr int kTerms = 32;
struct Terms {
  const float* x[kTerms];
  float factor[kTerms];
  int count;
  bool first;  // the sum begins here, else with y
};

template <int N>
RVX_DEVICE void addTerms(const Terms& terms, int64_t at, float* y) {
  Packet<float, N> sum;
  int k = 0;
  if (terms.first) {
    const auto x = ldPacket<N>(terms.x[0] + at);
    RVX_UNROLL
    for (int i = 0; i < N; ++i) sum.value[i] = terms.factor[0] * x.value[i];
    k = 1;
  } else {
    sum = ldPacket<N>(static_cast<const float*>(y + at));
  }
  for (; k < terms.count; ++k) {
    const auto x = ldPacket<N>(terms.x[k] + at);
    RVX_UNROLL
    for (int i = 0; i < N; ++i) sum.value[i] += terms.factor[k] * x.value[i];
  }
  stPacket(y + at, sum);
}

RVX_KERNEL(kMapThreads) weightedSum(Terms terms, int64_t count, float* y) {
  const int64_t at = int64_t{blockIdx.x} * (kMapThreads * 4) + threadIdx.x * 4;
  if (at + 4 <= count)
    addTerms<4>(terms, at, y);
  else
    for (int64_t i = at; i < count; ++i) addTerms<1>(terms, i, y);
}

}  // namespace

template <>
void run(const Multiply& op, Context& cx) {
  launchMap(cx, "multiply", Product{}, op.y.shape.size(), op.y.data(), op.a.data(), op.b.data());
}

template <>
void run(const WeightedSum& op, Context& cx) {
  const int64_t count = op.y.shape.size();
  for (size_t from = 0; from < op.inputs.size(); from += kTerms) {
    Terms terms{};
    terms.first = from == 0;
    terms.count = static_cast<int>(std::min<size_t>(kTerms, op.inputs.size() - from));
    for (size_t k = 0; k < static_cast<size_t>(terms.count); ++k) {
      terms.x[k] = op.inputs[from + k].data();
      terms.factor[k] = static_cast<float>(op.factors[from + k]);
    }
    launch(cx, "weightedSum", blocksFor(count, kMapThreads * 4), kMapThreads, 0, &weightedSum,
           terms, count, op.y.data());
  }
}

}  // namespace rvx::cuda
