// Tiles of taps x scalars vectors stay in registers while rows and voxels go by; one vector load and one
// broadcast feed each multiply-add.
#include "cpu/isa/weight_gradient.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif
#include <algorithm>
#include <cstring>

namespace rvx::RVX_ISA {
namespace {

template <int L>
struct VectorOf {
  typedef float type __attribute__((vector_size(L * 4)));
};
template <int L>
using Vec = typename VectorOf<L>::type;

template <int L>
inline Vec<L> load(const float* p) {
  Vec<L> v;
  std::memcpy(&v, p, sizeof v);
  return v;
}

// a * b + c, with one rounding where the set has it.
template <int L>
inline Vec<L> fma(Vec<L> a, float b, Vec<L> c) {
#if RVX_ISA_LANES == 16
  if constexpr (L == 16) return (Vec<L>)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(b), (__m512)c);
#endif
#if RVX_ISA_LANES >= 8
  if constexpr (L == 8) return (Vec<L>)_mm256_fmadd_ps((__m256)a, _mm256_set1_ps(b), (__m256)c);
#endif
  return a * b + c;
}

// T taps by S scalars.
template <int L, bool FineInLanes, int T, int S>
void tile(const OuterProduct& j, const float* coarse, const float* fine, float* sum) {
  Vec<L> acc[T][S] = {};
  for (int64_t row = 0; row < j.rows; ++row) {
    const float* c = coarse + row * j.coarseRow;
    const float* f = fine + row * j.fineRow;
    for (int64_t w = 0; w < j.width; ++w, c += j.coarseStep, f += j.fineStep) {
      if constexpr (FineInLanes) {
        Vec<L> v[T];
        for (int t = 0; t < T; ++t) v[t] = load<L>(f + t * j.tapStep);
        for (int s = 0; s < S; ++s)
          for (int t = 0; t < T; ++t) acc[t][s] = fma<L>(v[t], c[s], acc[t][s]);
      } else {
        const Vec<L> v = load<L>(c);
        for (int t = 0; t < T; ++t)
          for (int s = 0; s < S; ++s) acc[t][s] = fma<L>(v, f[t * j.tapStep + s], acc[t][s]);
      }
    }
  }
  for (int t = 0; t < T; ++t)
    for (int s = 0; s < S; ++s) {
      float* to = sum + t * j.sumTap + s * j.sumScalar;
      const Vec<L> total = load<L>(to) + acc[t][s];
      std::memcpy(to, &total, sizeof total);
    }
}

template <int L, bool FineInLanes, int T>
void scalars(const OuterProduct& j, const float* coarse, const float* fine, float* sum) {
  // As many sums as there are registers for.
  constexpr int widest = RVX_ISA_LANES == 16 ? 24 / T : 12 / T;
  constexpr int S = widest >= 8 ? 8 : 4;
  for (int64_t s = 0; s < j.scalars;) {
    const float* c = FineInLanes ? coarse + s : coarse;
    const float* f = FineInLanes ? fine : fine + s;
    float* to = sum + s * j.sumScalar;
    const int64_t left = j.scalars - s;
    if (left >= S) {
      tile<L, FineInLanes, T, S>(j, c, f, to), s += S;
    } else if (left >= 4) {
      tile<L, FineInLanes, T, 4>(j, c, f, to), s += 4;
    } else if (left >= 2) {
      tile<L, FineInLanes, T, 2>(j, c, f, to), s += 2;
    } else {
      tile<L, FineInLanes, T, 1>(j, c, f, to), s += 1;
    }
  }
}

template <int L, bool FineInLanes>
void lanes(const OuterProduct& j) {
  for (int64_t t = 0; t < j.taps;) {
    const int64_t step = j.taps - t == 2 ? 2 : j.taps - t >= 3 ? 3 : 1;
    for (int64_t l = 0; l < j.lanes; l += L) {
      const float* c = FineInLanes ? j.coarse : j.coarse + l;
      const float* f = j.fine + t * j.tapStep + (FineInLanes ? l : 0);
      float* to = j.sum + t * j.sumTap + l;
      if (step == 3) {
        scalars<L, FineInLanes, 3>(j, c, f, to);
      } else if (step == 2) {
        scalars<L, FineInLanes, 2>(j, c, f, to);
      } else {
        scalars<L, FineInLanes, 1>(j, c, f, to);
      }
    }
    t += step;
  }
}

}  // namespace

void outerProduct(const OuterProduct& job, [[maybe_unused]] int64_t vector) {
#if RVX_ISA_LANES == 16
  if (vector == 16) return job.fineInLanes ? lanes<16, true>(job) : lanes<16, false>(job);
#endif
#if RVX_ISA_LANES >= 8
  if (vector == 8) return job.fineInLanes ? lanes<8, true>(job) : lanes<8, false>(job);
#endif
  return job.fineInLanes ? lanes<4, true>(job) : lanes<4, false>(job);
}

const int64_t* outerProductVectors() {
#if RVX_ISA_LANES == 16
  static const int64_t lengths[] = {16, 8, 0};
#elif RVX_ISA_LANES == 8
  static const int64_t lengths[] = {8, 0};
#else
  static const int64_t lengths[] = {4, 0};
#endif
  return lengths;
}

}  // namespace rvx::RVX_ISA
