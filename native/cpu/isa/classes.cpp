// Softmax, argmax and the losses over blocks of voxels (cpu/classes.h). Sums are taken in double, in
// sixteen interleaved lanes whatever the instruction set, so that they have the same bits on all.
// GCC leaves loops with a choice (x > 0 ? x : slope * x) scalar unless no operation may trap.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-trapping-math")
#endif
#include "cpu/classes.h"

#include <cstring>

#include "math/exponential.h"
#include "math/focal.h"

namespace rvx::cpu::RVX_ISA {
namespace {

constexpr int64_t kLanes = 16;

// A constant number of classes lets the compiler turn the strided loads into shuffles.
template <int Constant>
inline void toPlanes(const float* x, int64_t voxels, int64_t classes, int64_t stride,
                     float* __restrict planes) {
  const int64_t n = Constant ? Constant : classes;
  for (int64_t c = 0; c < n; ++c)
    for (int64_t v = 0; v < voxels; ++v) planes[c * stride + v] = x[v * n + c];
}
template <int Constant>
inline void fromPlanes(const float* planes, int64_t voxels, int64_t classes, int64_t stride,
                       float* __restrict y) {
  const int64_t n = Constant ? Constant : classes;
  for (int64_t v = 0; v < voxels; ++v)
    for (int64_t c = 0; c < n; ++c) y[v * n + c] = planes[c * stride + v];
}

inline void split(const float* x, int64_t voxels, int64_t classes, int64_t stride, float* planes) {
  switch (classes) {
    case 1:
      return toPlanes<1>(x, voxels, classes, stride, planes);
    case 2:
      return toPlanes<2>(x, voxels, classes, stride, planes);
    case 3:
      return toPlanes<3>(x, voxels, classes, stride, planes);
    case 4:
      return toPlanes<4>(x, voxels, classes, stride, planes);
    default:
      return toPlanes<0>(x, voxels, classes, stride, planes);
  }
}
inline void join(const float* planes, int64_t voxels, int64_t classes, int64_t stride, float* y) {
  switch (classes) {
    case 1:
      return fromPlanes<1>(planes, voxels, classes, stride, y);
    case 2:
      return fromPlanes<2>(planes, voxels, classes, stride, y);
    case 3:
      return fromPlanes<3>(planes, voxels, classes, stride, y);
    case 4:
      return fromPlanes<4>(planes, voxels, classes, stride, y);
    default:
      return fromPlanes<0>(planes, voxels, classes, stride, y);
  }
}

struct Planes {
  int64_t stride;
  float *scores, *largest, *total;
  float* rest;  // the scratch that is left: classes + 4 planes

  Planes(int64_t classes, float* scratch)
      : stride(classBlock(classes)),
        scores(scratch),
        largest(scratch + classes * stride),
        total(largest + stride),
        rest(total + stride) {}
};

// Scores become exp(score - largest), `total` their sum.
inline void exponentials(const Planes& p, int64_t voxels, int64_t classes) {
  float* __restrict largest = p.largest, * __restrict total = p.total;
  for (int64_t v = 0; v < voxels; ++v) largest[v] = p.scores[v], total[v] = 0;
  for (int64_t c = 1; c < classes; ++c) {
    const float* s = p.scores + c * p.stride;
    for (int64_t v = 0; v < voxels; ++v) largest[v] = s[v] > largest[v] ? s[v] : largest[v];
  }
  for (int64_t c = 0; c < classes; ++c) {
    float* __restrict s = p.scores + c * p.stride;
    for (int64_t v = 0; v < voxels; ++v) {
      s[v] = exponential(s[v] - largest[v]);
      total[v] += s[v];
    }
  }
}

inline void probabilities(const Planes& p, int64_t voxels, int64_t classes) {
  exponentials(p, voxels, classes);
  float* __restrict total = p.total;
  for (int64_t v = 0; v < voxels; ++v) total[v] = 1.0f / total[v];
  for (int64_t c = 0; c < classes; ++c) {
    float* __restrict s = p.scores + c * p.stride;
    for (int64_t v = 0; v < voxels; ++v) s[v] *= total[v];
  }
}

typedef float Floats __attribute__((vector_size(kLanes * 4)));
typedef int32_t Ints __attribute__((vector_size(kLanes * 4)));
typedef double Doubles __attribute__((vector_size(kLanes * 8)));

// At most kLanes values, zeros beyond.
template <class T, class From>
inline void take(const From* from, int64_t count, T& v) {
  v = T{};
  std::memcpy(&v, from, count >= kLanes ? sizeof v : sizeof(From) * static_cast<size_t>(count));
}

// Lane by lane, so that the order of the sum is the same on every instruction set.
inline double added(const Doubles& lanes) {
  double sum = 0;
  for (int64_t j = 0; j < kLanes; ++j) sum += lanes[j];
  return sum;
}

inline double sumOf(const float* values, int64_t voxels) {
  Doubles lanes{};
  for (int64_t v = 0; v < voxels; v += kLanes) {
    Floats x;
    take(values + v, voxels - v, x);
    lanes += __builtin_convertvector(x, Doubles);
  }
  return added(lanes);
}

// The weight of every voxel's label, 0 where it is -1.
inline void weightsOf(const int32_t* labels, const float* weights, int64_t voxels, int64_t classes,
                      float* __restrict w) {
  for (int64_t v = 0; v < voxels; ++v) w[v] = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const float weight = weights[c];
    for (int64_t v = 0; v < voxels; ++v) w[v] = labels[v] == c ? weight : w[v];
  }
}

}  // namespace

void softmaxBlock(const float* x, int64_t voxels, int64_t classes, float* scratch, float* y) {
  const Planes p(classes, scratch);
  split(x, voxels, classes, p.stride, p.scores);
  probabilities(p, voxels, classes);
  join(p.scores, voxels, classes, p.stride, y);
}

void softmaxGradBlock(const float* y, const float* dy, int64_t voxels, int64_t classes,
                      float* scratch, float* dx) {
  const Planes p(classes, scratch);
  split(y, voxels, classes, p.stride, p.scores);
  split(dy, voxels, classes, p.stride, p.rest);
  float* __restrict dot = p.total;
  for (int64_t v = 0; v < voxels; ++v) dot[v] = 0;
  for (int64_t c = 0; c < classes; ++c)
    for (int64_t v = 0; v < voxels; ++v)
      dot[v] += p.scores[c * p.stride + v] * p.rest[c * p.stride + v];
  for (int64_t c = 0; c < classes; ++c) {
    float* __restrict s = p.scores + c * p.stride;
    const float* q = p.rest + c * p.stride;
    for (int64_t v = 0; v < voxels; ++v) s[v] *= q[v] - dot[v];
  }
  join(p.scores, voxels, classes, p.stride, dx);
}

void argmaxBlock(const float* x, int64_t voxels, int64_t classes, float* scratch, uint8_t* y) {
  const Planes p(classes, scratch);
  split(x, voxels, classes, p.stride, p.scores);
  float* __restrict largest = p.largest, * __restrict index = p.total;
  for (int64_t v = 0; v < voxels; ++v) largest[v] = p.scores[v], index[v] = 0;
  for (int64_t c = 1; c < classes; ++c) {
    const float *s = p.scores + c * p.stride, number = static_cast<float>(c);
    for (int64_t v = 0; v < voxels; ++v) {
      const bool more = s[v] > largest[v];
      largest[v] = more ? s[v] : largest[v];
      index[v] = more ? number : index[v];
    }
  }
  for (int64_t v = 0; v < voxels; ++v) y[v] = static_cast<uint8_t>(static_cast<int32_t>(index[v]));
}

void crossEntropyBlock(const float* x, const int32_t* labels, const float* weights, float focus,
                       int64_t voxels, int64_t classes, float* scratch, double* sums) {
  const Planes p(classes, scratch);
  split(x, voxels, classes, p.stride, p.scores);
  float* __restrict w = p.rest, * __restrict score = p.rest + p.stride;
  weightsOf(labels, weights, voxels, classes, w);
  for (int64_t v = 0; v < voxels; ++v) score[v] = 0;
  for (int64_t c = 0; c < classes; ++c)
    for (int64_t v = 0; v < voxels; ++v)
      score[v] = labels[v] == c ? p.scores[c * p.stride + v] : score[v];
  exponentials(p, voxels, classes);
  for (int64_t v = 0; v < voxels; ++v) score[v] = logarithm(p.total[v]) + (p.largest[v] - score[v]);
  if (focus > 0)
    for (int64_t v = 0; v < voxels; ++v) score[v] = focalLoss(score[v], focus);
  for (int64_t v = 0; v < voxels; ++v) score[v] = labels[v] < 0 ? 0.0f : w[v] * score[v];
  sums[0] += sumOf(score, voxels);
  sums[1] += sumOf(w, voxels);
}

void crossEntropyGradBlock(const float* x, const int32_t* labels, const float* weights, float focus,
                           float factor, int64_t voxels, int64_t classes, float* scratch,
                           float* dx) {
  const Planes p(classes, scratch);
  split(x, voxels, classes, p.stride, p.scores);
  probabilities(p, voxels, classes);
  float* __restrict w = p.rest;
  weightsOf(labels, weights, voxels, classes, w);
  if (focus > 0) {
    float* __restrict hit = p.rest + p.stride;
    for (int64_t v = 0; v < voxels; ++v) hit[v] = 0;
    for (int64_t c = 0; c < classes; ++c)
      for (int64_t v = 0; v < voxels; ++v)
        hit[v] = labels[v] == c ? p.scores[c * p.stride + v] : hit[v];
    for (int64_t v = 0; v < voxels; ++v) w[v] *= focalRate(hit[v], focus);
  }
  for (int64_t v = 0; v < voxels; ++v) w[v] *= factor;
  for (int64_t c = 0; c < classes; ++c) {
    float* __restrict s = p.scores + c * p.stride;
    for (int64_t v = 0; v < voxels; ++v) {
      const float error = s[v] - (labels[v] == c ? 1.0f : 0.0f);
      s[v] = labels[v] < 0 ? 0.0f : w[v] * error;
    }
  }
  join(p.scores, voxels, classes, p.stride, dx);
}

void softDiceBlock(const float* x, const int32_t* labels, int64_t voxels, int64_t classes,
                   float* scratch, double (*sums)[3]) {
  const Planes p(classes, scratch);
  split(x, voxels, classes, p.stride, p.scores);
  probabilities(p, voxels, classes);
  for (int64_t c = 0; c < classes; ++c) {
    const float* s = p.scores + c * p.stride;
    Doubles both{}, all{};
    Ints count{};
    for (int64_t v = 0; v < voxels; v += kLanes) {
      Floats x;
      Ints label;
      take(s + v, voxels - v, x);
      take(labels + v, voxels - v, label);
      Ints is = label == static_cast<int32_t>(c);
      for (int64_t j = voxels - v; j < kLanes; ++j) is[j] = 0;
      both += __builtin_convertvector((Floats)(is & (Ints)x), Doubles);
      all += __builtin_convertvector(x, Doubles);
      count -= is;
    }
    sums[c][0] += added(both);
    sums[c][1] += added(all);
    for (int64_t j = 0; j < kLanes; ++j) sums[c][2] += count[j];
  }
}

void softDiceGradBlock(const float* x, const int32_t* labels, const float* absent,
                       const float* present, int64_t voxels, int64_t classes, float* scratch,
                       float* dx) {
  const Planes p(classes, scratch);
  split(x, voxels, classes, p.stride, p.scores);
  probabilities(p, voxels, classes);
  float* __restrict mean = p.total;
  for (int64_t v = 0; v < voxels; ++v) mean[v] = 0;
  for (int64_t c = 0; c < classes; ++c) {
    const float *s = p.scores + c * p.stride, yes = present[c], no = absent[c];
    for (int64_t v = 0; v < voxels; ++v) mean[v] += s[v] * (labels[v] == c ? yes : no);
  }
  for (int64_t c = 0; c < classes; ++c) {
    float* __restrict s = p.scores + c * p.stride;
    const float yes = present[c], no = absent[c];
    for (int64_t v = 0; v < voxels; ++v) s[v] *= (labels[v] == c ? yes : no) - mean[v];
  }
  join(p.scores, voxels, classes, p.stride, dx);
}

}  // namespace rvx::cpu::RVX_ISA
