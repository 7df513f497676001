#include "cpu/isa/gather_rows.h"

#include "cpu/isa/vector.h"

namespace rvx::RVX_ISA {
namespace {

inline Vec leaky(Vec x, Vec slope) { return select(x > Vec{}, x, x * slope); }

// Rows without gaps are one long array: no need to look at columns.
template <int P>
void packFlat(const PackRow& j, int64_t from, int64_t count, float* out) {
  constexpr int part = kLanes / P;
  const float* rows[P];
  for (int p = 0; p < P; ++p) rows[p] = j.rows[p] ? j.rows[p] + from : nullptr;
  int64_t i = 0;
  for (; i + part <= count; i += part) {
    float parts[kLanes];
    for (int p = 0; p < P; ++p)
      if (rows[p])
        std::memcpy(parts + p * part, rows[p] + i, sizeof(float) * part);
      else
        std::memset(parts + p * part, 0, sizeof(float) * part);
    store(out + i * P, interleave<P>(load(parts)));
  }
  for (; i < count; ++i)
    for (int p = 0; p < P; ++p) out[i * P + p] = rows[p] ? rows[p][i] : 0;
}

template <int P>
void packColumn(const PackRow& j, int64_t column, float* out) {
  constexpr int part = kLanes / P;
  const int64_t at = column * j.stride;
  int64_t c = 0;
  for (; c + part <= j.channels; c += part) {
    Vec v;
    if constexpr (P == 1) {
      v = load(j.rows[0] + at + c);
    } else {
      float parts[kLanes] = {};
      for (int p = 0; p < P; ++p)
        if (j.rows[p]) std::memcpy(parts + p * part, j.rows[p] + at + c, sizeof(float) * part);
      v = load(parts);
    }
    if (j.scale) {
      float scale[kLanes], shift[kLanes];
      for (int p = 0; p < P; ++p) {
        std::memcpy(scale + p * part, j.scale + c, sizeof(float) * part);
        std::memcpy(shift + p * part, j.shift + c, sizeof(float) * part);
      }
      v = leaky(v * load(scale) + load(shift), splat(j.slope));
      if constexpr (P > 1) {
        // Rows outside stay zero.
        store(scale, v);
        for (int p = 0; p < P; ++p)
          if (!j.rows[p]) std::memset(scale + p * part, 0, sizeof(float) * part);
        v = load(scale);
      }
    }
    store(out + c * P, interleave<P>(v));
  }
  for (; c < j.channels; ++c)
    for (int p = 0; p < P; ++p) {
      float v = 0;
      if (j.rows[p]) {
        v = j.rows[p][at + c];
        if (j.scale) {
          v = v * j.scale[c] + j.shift[c];
          v = v > 0 ? v : v * j.slope;
        }
      }
      out[c * P + p] = v;
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
  } else if (j.phases == 1) {
    for (int64_t c = begin; c < end; ++c)
      packColumn<P>(j, j.firstColumn + c, j.out + c * j.outStride);
  } else {
    for (int64_t c = begin; c < end; ++c)
      packColumn<P>(j, j.firstColumn + c,
                    j.out + (c % j.phases * j.phaseSize + c / j.phases) * j.outStride);
  }
  zero(begin < end ? end : begin, j.columns);
}

template <int P>
void unpack(const UnpackRow& j) {
  constexpr int part = kLanes / P;
  for (int n = 0; n < j.NV; ++n) {
    const int64_t left = j.channels - n * part;
    const int64_t count = left < part ? left : part;
    for (int64_t w = 0; w < j.width; ++w) {
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

void laneMoments(const float* sum, int64_t width, int64_t lanes, float* mean, float* m2) {
  // Two passes about a provisional mean that is itself found about the first value: no digit is
  // lost where the mean is far greater than the deviation.
  const Vec count = splat(float(width));
  for (int64_t l = 0; l < lanes; l += kLanes) {
    const Vec first = load(sum + l);
    Vec total{};
    for (int64_t w = 0; w < width; ++w) total += load(sum + w * lanes + l) - first;
    const Vec middle = first + total / count;
    Vec rest{}, squares{};
    for (int64_t w = 0; w < width; ++w) {
      const Vec d = load(sum + w * lanes + l) - middle;
      rest += d;
      squares = fma(d, d, squares);
    }
    store(mean + l, middle + rest / count);
    store(m2 + l, squares - rest * rest / count);
  }
}

}  // namespace rvx::RVX_ISA
