#include "cpu/isa/gather_rows.h"

#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {
namespace {

inline Vec leaky(Vec x, Vec slope) { return select(x > Vec{}, x, x * slope); }

// Stands for rows outside.
constexpr int64_t kMostChannels = 64;
alignas(64) const float kZeros[kMostChannels] = {};

// Rows without gaps are one long array: no need to look at columns.
template <int P>
void packFlat(const PackRow& j, int64_t from, int64_t count, float* out) {
  constexpr int part = kLanes / P;
  const float* rows[P];
  for (int p = 0; p < P; ++p) rows[p] = j.rows[p] ? j.rows[p] + from : nullptr;
  int64_t i = 0;
  bool all = true;
  for (int p = 0; p < P; ++p) all = all && rows[p];
  if (all)
    for (; i + part <= count; i += part) store(out + i * P, interleave<P>(gatherParts<P>(rows, i)));
  for (; i < count; ++i)
    for (int p = 0; p < P; ++p) out[i * P + p] = rows[p] ? rows[p][i] : 0;
}

// Columns first..last-1 of the input, from `place` on, `step` places apart.
template <int P, bool Normalize>
void packColumns(const PackRow& j, int64_t first, int64_t last) {
  constexpr int part = kLanes / P;
  const Vec slope = splat(j.slope);
  const float* rows[P];
  int64_t strides[P];
  IntVec inside{};
  for (int p = 0; p < P; ++p) {
    rows[p] = j.rows[p] ? j.rows[p] + first * j.stride : kZeros;
    strides[p] = j.rows[p] ? j.stride : 0;
    for (int l = 0; l < part; ++l) inside[p * part + l] = j.rows[p] ? -1 : 0;
  }
  for (int64_t column = first - j.firstColumn; column < last - j.firstColumn; ++column) {
    float* out =
        j.out + (j.phases == 1 ? column : column % j.phases * j.phaseSize + column / j.phases) *
                    j.outStride;
    int64_t c = 0;
    for (; c + part <= j.channels; c += part) {
      Vec v = gatherParts<P>(rows, c);
      if constexpr (Normalize) {
        const float *scale[P], *shift[P];
        for (int p = 0; p < P; ++p) scale[p] = j.scale, shift[p] = j.shift;
        v = leaky(v * gatherParts<P>(scale, c) + gatherParts<P>(shift, c), slope);
        if constexpr (P > 1) v = select(inside, v, Vec{});
      }
      store(out + c * P, interleave<P>(v));
    }
    for (; c < j.channels; ++c)
      for (int p = 0; p < P; ++p) {
        float v = rows[p][c];
        if (Normalize && j.rows[p]) {
          v = v * j.scale[c] + j.shift[c];
          v = v > 0 ? v : v * j.slope;
        }
        out[c * P + p] = v;
      }
    for (int p = 0; p < P; ++p) rows[p] += strides[p];
  }
}

template <int P>
void pack(const PackRow& j) {
  const auto zero = [&](int64_t from, int64_t to) {
    for (int64_t c = from; c < to; ++c)
      std::memset(j.out + (c % j.phases * j.phaseSize + c / j.phases) * j.outStride, 0,
                  sizeof(float) * size_t(j.channels * P));
  };
  bool any = false;
  for (int p = 0; p < P; ++p) any |= j.rows[p] != nullptr;
  if (!any) return zero(0, j.columns);
  // Columns begin..end lie in the input.
  const auto clamp = [&](int64_t c) { return c < 0 ? 0 : c > j.columns ? j.columns : c; };
  const int64_t begin = clamp(-j.firstColumn), end = clamp(j.width - j.firstColumn);
  zero(0, begin);
  if (j.phases == 1 && !j.scale && j.stride == j.channels && j.outStride == j.channels * P) {
    packFlat<P>(j, (j.firstColumn + begin) * j.stride, (end - begin) * j.stride,
                j.out + begin * j.outStride);
  } else if (begin < end) {
    if (j.scale)
      packColumns<P, true>(j, j.firstColumn + begin, j.firstColumn + end);
    else
      packColumns<P, false>(j, j.firstColumn + begin, j.firstColumn + end);
  }
  zero(begin < end ? end : begin, j.columns);
}

template <int P>
void unpack(const UnpackRow& j) {
  constexpr int part = kLanes / P;
  for (int n = 0; n < j.NV; ++n) {
    const int64_t left = j.channels - n * part;
    const int64_t count = left < part ? left : part;
    for (int64_t w = j.from; w < j.width; ++w) {
      float parts[kLanes];
      store(parts, separate<P>(load(j.sum + (w * j.NV + n) * kLanes)));
      for (int p = 0; p < P; ++p) {
        if (!j.rows[p]) continue;
        float* y = j.rows[p] + w * j.stride + n * part;
        if (count == part)
          std::memcpy(y, parts + p * part, sizeof(float) * part);
        else
          for (int64_t c = 0; c < count; ++c) y[c] = parts[p * part + c];
      }
    }
  }
}

}  // namespace

void packRow(const PackRow& job) {
#if RVX_ISA_LANES > 4
  if (job.P == 2) return pack<2>(job);
  if (job.P == 4) return pack<4>(job);
#endif
  pack<1>(job);
}

void unpackRow(const UnpackRow& job) {
#if RVX_ISA_LANES > 4
  if (job.P == 2) return unpack<2>(job);
  if (job.P == 4) return unpack<4>(job);
#endif
  unpack<1>(job);
}

void laneMoments(const float* sum, int64_t width, int64_t stride, int64_t lanes, float* mean,
                 float* m2) {
  // Two passes about a provisional mean that is itself found about the first value: no digit is
  // lost where the mean is far greater than the deviation.
  const Vec count = splat(float(width));
  for (int64_t l = 0; l < lanes; l += kLanes) {
    const Vec first = load(sum + l);
    Vec total{};
    for (int64_t w = 0; w < width; ++w) total += load(sum + w * stride + l) - first;
    const Vec middle = first + total / count;
    Vec rest{}, squares{};
    for (int64_t w = 0; w < width; ++w) {
      const Vec d = load(sum + w * stride + l) - middle;
      rest += d;
      squares = fma(d, d, squares);
    }
    store(mean + l, middle + rest / count);
    store(m2 + l, squares - rest * rest / count);
  }
}

void packLanes(const float* from, int64_t stride, int64_t valid, int P, int64_t length,
               int64_t taps, const int64_t* place, int64_t step, float* to) {
  int64_t tap = 0, base = 0;
  const auto put = [&](Vec v) {
    if (place[tap] >= 0) store(to + place[tap] + base, v);
    if (++tap == taps) tap = 0, base += step;
  };
  int64_t j = 0;
  for (; j + kLanes <= length; j += kLanes) {
    Vec rows[kLanes];
    for (int l = 0; l < kLanes; ++l)
      rows[l] = l / P < valid ? load(from + l / P * stride + j) : Vec{};
    transpose(rows);
    for (int l = 0; l < kLanes; ++l) put(rows[l]);
  }
  for (; j < length; ++j) {
    Vec v{};
    for (int l = 0; l < kLanes && l / P < valid; ++l) v[l] = from[l / P * stride + j];
    put(v);
  }
}

}  // namespace rvx::RVX_ISA
