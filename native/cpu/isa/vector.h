// A vector of RVX_ISA_LANES floats: GCC's vector type, and intrinsics for what it does not say: fused
// multiply-add, broadcast from memory, widening of bytes. For files of native/cpu/isa only.
//
// RVX_NATIVE: a vector is one register of AVX-512 or AVX2. Else plain code stands in for intrinsics:
// for 4 lanes, and for 16 lanes lowered to pairs of AVX2's registers (CMake's RVX_LOWER_AVX512), by which
// the AVX-512 sources are tested on machines without it.
#pragma once
#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif
#if (RVX_ISA_LANES == 16 && defined(__AVX512F__)) || (RVX_ISA_LANES == 8 && defined(__AVX2__))
#define RVX_NATIVE RVX_ISA_LANES
#else
#define RVX_NATIVE 0
#endif
#include <cstdint>
#include <cstring>

namespace rvx::RVX_ISA {

constexpr int kLanes = RVX_ISA_LANES;

typedef float Vec __attribute__((vector_size(RVX_ISA_LANES * 4)));
typedef int32_t IntVec __attribute__((vector_size(RVX_ISA_LANES * 4)));

static inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
static inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
// Past the caches, for results that no cache holds until they are read; p is aligned to a vector.
// fence() comes before another thread reads them.
static inline void stream(float* p, Vec v) {
#if RVX_NATIVE == 16
  _mm512_stream_ps(p, (__m512)v);
#elif RVX_NATIVE == 8
  _mm256_stream_ps(p, (__m256)v);
#elif defined(__x86_64__)
  for (int l = 0; l < kLanes; l += 4) {
    __m128 part;
    std::memcpy(&part, (const float*)&v + l, sizeof part);
    _mm_stream_ps(p + l, part);
  }
#else
  store(p, v);
#endif
}
static inline void fence() {
#if defined(__x86_64__)
  _mm_sfence();
#endif
}
static inline Vec splat(float x) { return Vec{} + x; }
static inline Vec select(IntVec mask, Vec a, Vec b) {
  return (Vec)((mask & (IntVec)a) | (~mask & (IntVec)b));
}

// a * b + c, with one rounding where the set has it.
static inline Vec fma(Vec a, Vec b, Vec c) {
#if RVX_NATIVE == 16
  return (Vec)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif RVX_NATIVE == 8
  return (Vec)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif RVX_ISA_LANES == 16
  __m256 x[2], y[2], z[2];
  std::memcpy(x, &a, sizeof a);
  std::memcpy(y, &b, sizeof b);
  std::memcpy(z, &c, sizeof c);
  for (int h = 0; h < 2; ++h) z[h] = _mm256_fmadd_ps(x[h], y[h], z[h]);
  std::memcpy(&c, z, sizeof c);
  return c;
#elif defined(__aarch64__)
  return (Vec)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
  return a * b + c;
#endif
}

// A bit a lane of a comparison's result.
static inline uint32_t bitsOf(IntVec mask) {
#if RVX_NATIVE == 16
  return uint32_t(_mm512_movepi32_mask((__m512i)mask));
#elif RVX_NATIVE == 8
  return uint32_t(_mm256_movemask_ps((__m256)mask));
#else
  uint32_t bits = 0;
  for (int l = 0; l < kLanes; ++l) bits |= mask[l] < 0 ? 1u << l : 0u;
  return bits;
#endif
}

// The greater; b where they are equal or one is not a number.
static inline Vec max(Vec a, Vec b) {
#if RVX_NATIVE == 16
  return (Vec)_mm512_max_ps((__m512)a, (__m512)b);
#elif RVX_NATIVE == 8
  return (Vec)_mm256_max_ps((__m256)a, (__m256)b);
#else
  return a > b ? a : b;
#endif
}

// kLanes bytes as integers, and integers below 256 as bytes.
static inline IntVec loadBytes(const uint8_t* p) {
#if RVX_NATIVE == 16
  return (IntVec)_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i*)p));
#elif RVX_NATIVE == 8
  return (IntVec)_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i*)p));
#else
  IntVec v;
  for (int l = 0; l < kLanes; ++l) v[l] = p[l];
  return v;
#endif
}
static inline void storeBytes(uint8_t* p, IntVec v) {
#if RVX_NATIVE == 16
  _mm_storeu_si128((__m128i*)p, _mm512_cvtepi32_epi8((__m512i)v));
#elif RVX_NATIVE == 8
  const __m128i low = _mm256_castsi256_si128((__m256i)v);
  const __m128i words = _mm_packus_epi32(low, _mm256_extracti128_si256((__m256i)v, 1));
  _mm_storel_epi64((__m128i*)p, _mm_packus_epi16(words, words));
#else
  for (int l = 0; l < kLanes; ++l) p[l] = uint8_t(v[l]);
#endif
}

// P floats repeated over the vector.
template <int P>
static inline Vec broadcast(const float* p) {
#if RVX_NATIVE == 16
  if constexpr (P == 1) return (Vec)_mm512_set1_ps(*p);
  if constexpr (P == 2) {
    double two;
    std::memcpy(&two, p, sizeof two);
    return (Vec)_mm512_castpd_ps(_mm512_set1_pd(two));
  }
  if constexpr (P == 4) return (Vec)_mm512_maskz_broadcast_f32x4(__mmask16(-1), _mm_loadu_ps(p));
#elif RVX_NATIVE == 8
  if constexpr (P == 1) return (Vec)_mm256_broadcast_ss(p);
  if constexpr (P == 2) {
    double two;
    std::memcpy(&two, p, sizeof two);
    return (Vec)_mm256_castpd_ps(_mm256_set1_pd(two));
  }
  if constexpr (P == 4) return (Vec)_mm256_broadcast_ps((const __m128*)p);
#else
  if constexpr (P == 1) return splat(*p);
  Vec v;
  for (int l = 0; l < kLanes; ++l) v[l] = p[l % P];
  return v;
#endif
}

// P parts of kLanes / P floats from P places, one after the other.
template <int P>
static inline Vec gatherParts(const float* const* from, int64_t at) {
  if constexpr (P == 1) return load(from[0] + at);
#if RVX_NATIVE == 16
  if constexpr (P == 2)
    return (Vec)_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(from[0] + at)),
                                   _mm256_loadu_ps(from[1] + at), 1);
  if constexpr (P == 4) {
    __m512 v = _mm512_castps128_ps512(_mm_loadu_ps(from[0] + at));
    v = _mm512_insertf32x4(v, _mm_loadu_ps(from[1] + at), 1);
    v = _mm512_insertf32x4(v, _mm_loadu_ps(from[2] + at), 2);
    return (Vec)_mm512_insertf32x4(v, _mm_loadu_ps(from[3] + at), 3);
  }
#elif RVX_NATIVE == 8
  if constexpr (P == 2)
    return (Vec)_mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(from[0] + at)),
                                     _mm_loadu_ps(from[1] + at), 1);
  if constexpr (P == 4) {
    double two[4];
    for (int p = 0; p < 4; ++p) std::memcpy(two + p, from[p] + at, sizeof(double));
    return (Vec)_mm256_setr_pd(two[0], two[1], two[2], two[3]);
  }
#else
  Vec v;
  for (int p = 0; p < P; ++p)
    std::memcpy((float*)&v + p * (kLanes / P), from[p] + at, sizeof(float) * (kLanes / P));
  return v;
#endif
}

// Between P parts of kLanes / P floats, one after the other, and the same interleaved.
template <int P>
static inline Vec interleave(Vec parts) {
  if constexpr (P == 1) return parts;
  IntVec from;
  for (int l = 0; l < kLanes; ++l) from[l] = l % P * (kLanes / P) + l / P;
  return __builtin_shuffle(parts, from);
}
template <int P>
static inline Vec separate(Vec mixed) {
  if constexpr (P == 1) return mixed;
  IntVec from;
  for (int l = 0; l < kLanes; ++l) from[l] = l % (kLanes / P) * P + l / (kLanes / P);
  return __builtin_shuffle(mixed, from);
}

// The transpose of kLanes vectors, by log2(kLanes) rounds of zipping halves.
static inline void transpose(Vec* rows) {
  IntVec low, high;
  for (int l = 0; l < kLanes; ++l) {
    low[l] = l / 2 + l % 2 * kLanes;
    high[l] = low[l] + kLanes / 2;
  }
  Vec next[kLanes];
  for (int round = 1; round < kLanes; round *= 2) {
    for (int i = 0; i < kLanes / 2; ++i) {
      next[2 * i] = __builtin_shuffle(rows[i], rows[i + kLanes / 2], low);
      next[2 * i + 1] = __builtin_shuffle(rows[i], rows[i + kLanes / 2], high);
    }
    for (int i = 0; i < kLanes; ++i) rows[i] = next[i];
  }
}

}  // namespace rvx::RVX_ISA
