// The input of a convolution: one or two tensors [N, voxels, C] next to each other along the channels, stored as f32, bf16 or
// f16, each normalised while loading (leaky(x * scale + shift), scale and shift per sample and channel) where it has a scale,
// then rounded to the type of the products.
#pragma once
#include "core/dtype.h"
#include "cuda/kernel.h"
#include "math/activation.h"

namespace rvx::cuda {

struct Sources {
  struct One {
    const void* x = nullptr;
    const float *scale = nullptr, *shift = nullptr;
    int channels = 0;
    float slope = 1;  // 1 where there is no scale
  };
  One one[2];
  DType storage = DType::f32, operand = DType::f32;

  Sources() = default;
  Sources(DType s, DType o) : storage(s), operand(o) {}
  void set(int i, const void* x, int64_t channels, const float* scale = nullptr,
           const float* shift = nullptr, double slope = 1) {
    one[i] = {x, scale, shift, static_cast<int>(channels),
              scale ? static_cast<float>(slope) : 1.0f};
  }
  int channels() const { return one[0].channels + one[1].channels; }
  // Whether runs of n channels from a multiple of n on lie in one source, aligned.
  bool runsOf(int n) const { return one[0].channels % n == 0 && one[1].channels % n == 0; }
};

RVX_DEVICE float roundTo(DType type, float v) {
  if (type == DType::bf16) return unpackLow<Bf16>(packBf16(v, v));
  if (type == DType::f16) return unpackLow<F16>(packF16(v, v));
  return v;
}

RVX_DEVICE float loadOne(DType type, const void* x, int64_t at) {
  if (type == DType::f32) return ld(static_cast<const float*>(x) + at);
  const uint16_t bits = ld(static_cast<const uint16_t*>(x) + at);
  return type == DType::bf16 ? fromBf16(bits) : halfToFloat(bits);
}
// N = 1, 4 or 8 values, aligned to N of them.
template <int N>
RVX_DEVICE void loadRun(DType type, const void* x, int64_t at, float (&v)[N]) {
  if (N == 1) {
    v[0] = loadOne(type, x, at);
    return;
  }
  if (type == DType::f32) {
    RVX_UNROLL
    for (int i = 0; i + 3 < N; i += 4) {
      const float4 f = ld(reinterpret_cast<const float4*>(static_cast<const float*>(x) + at + i));
      v[i] = f.x, v[i + 1] = f.y, v[i + 2] = f.z, v[i + 3] = f.w;
    }
    return;
  }
  constexpr int kPairs = N > 1 ? N / 2 : 2;
  uint32_t pairs[kPairs];
  const auto* p = static_cast<const uint16_t*>(x) + at;
  if (N == 8) {
    const uint4 u = ld(reinterpret_cast<const uint4*>(p));
    pairs[0] = u.x, pairs[1] = u.y, pairs[kPairs - 2] = u.z, pairs[kPairs - 1] = u.w;
  } else {
    const uint2 u = ld(reinterpret_cast<const uint2*>(p));
    pairs[0] = u.x, pairs[1] = u.y;
  }
  RVX_UNROLL
  for (int i = 0; i < N / 2; ++i) {
    v[2 * i] = type == DType::bf16 ? unpackLow<Bf16>(pairs[i]) : unpackLow<F16>(pairs[i]);
    v[2 * i + 1] = type == DType::bf16 ? unpackHigh<Bf16>(pairs[i]) : unpackHigh<F16>(pairs[i]);
  }
}
RVX_DEVICE void storeOne(DType type, void* y, int64_t at, float v) {
  if (type == DType::f32)
    st(static_cast<float*>(y) + at, v);
  else
    st(static_cast<uint16_t*>(y) + at,
       static_cast<uint16_t>(type == DType::bf16 ? packBf16(v, v) : packF16(v, v)));
}
RVX_DEVICE uint32_t packAs(DType type, float low, float high) {
  return type == DType::bf16 ? packBf16(low, high) : packF16(low, high);
}
// Four values, aligned to four.
RVX_DEVICE void storeFour(DType type, void* y, int64_t at, float a, float b, float c, float d) {
  if (type == DType::f32)
    st(reinterpret_cast<float4*>(static_cast<float*>(y) + at), make_float4(a, b, c, d));
  else
    st(reinterpret_cast<uint2*>(static_cast<uint16_t*>(y) + at),
       make_uint2(packAs(type, a, b), packAs(type, c, d)));
}

// N channels from `first` on of one sample: their norm, fetched once for many voxels.
template <int N>
struct ChannelRun {
  const Sources& sources;
  int first, source, own;  // `own` is the first channel's index in its source
  bool whole;              // one aligned run of one source
  float scale[N], shift[N];

  RVX_DEVICE ChannelRun(const Sources& s, int sample, int c, bool runs)
      : sources(s), first(c), source(c < s.one[0].channels ? 0 : 1) {
    own = c - (source ? s.one[0].channels : 0);
    whole = runs && c < s.one[0].channels + s.one[1].channels;
    RVX_UNROLL
    for (int i = 0; i < N; ++i) {
      scale[i] = 1, shift[i] = 0;
      const int part = c + i < s.one[0].channels ? 0 : 1;
      const Sources::One& from = s.one[part];
      const int k = c + i - (part ? s.one[0].channels : 0);
      if (!from.scale || k >= from.channels) continue;
      const int64_t at = int64_t{sample} * from.channels + k;
      scale[i] = ld(from.scale + at), shift[i] = ld(from.shift + at);
    }
  }
  // Of a voxel counted over all samples, where it is inside, else zeros: padding is applied after the norm.
  RVX_DEVICE void load(int64_t voxel, bool inside, float (&v)[N]) const {
    RVX_UNROLL
    for (int i = 0; i < N; ++i) v[i] = 0;
    if (!inside) return;
    if (whole) {
      const Sources::One& from = sources.one[source];
      loadRun(sources.storage, from.x, voxel * from.channels + own, v);
      RVX_UNROLL
      for (int i = 0; i < N; ++i) v[i] = leakyRelu(fma(v[i], scale[i], shift[i]), from.slope);
    } else {
      RVX_UNROLL
      for (int i = 0; i < N; ++i) {
        const int part = first + i < sources.one[0].channels ? 0 : 1;
        const Sources::One& from = sources.one[part];
        const int k = first + i - (part ? sources.one[0].channels : 0);
        if (k >= from.channels) continue;
        const float x = loadOne(sources.storage, from.x, voxel * from.channels + k);
        v[i] = leakyRelu(fma(x, scale[i], shift[i]), from.slope);
      }
    }
    if (sources.operand == DType::f32) return;
    RVX_UNROLL
    for (int i = 0; i < N; ++i) v[i] = roundTo(sources.operand, v[i]);
  }
};

}  // namespace rvx::cuda
