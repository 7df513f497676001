// Sixteen bytes of operands as shared memory holds them: 8 channels of a voxel as bf16 or fp16, 4 as f32, made of channels that are
// stored as f32, bf16 or f16.
#pragma once
#include "core/dtype.h"
#include "cuda/kernel.h"
#include "math/activation.h"

namespace rvx::cuda {

template <class T>
constexpr int kUnitChannels = static_cast<int>(16 / sizeof(T));

// Channels first .. first + count - 1 of the voxels of a tensor [.., channels]; the rest of the unit is zero.
struct UnitSource {
  const void* x = nullptr;
  int channels = 0, first = 0, count = 0;
  bool aligned = false;  // whole units lie on their own size
};

// A unit of T as it is stored in S.
template <class S, class T>
struct StoredUnit {
  static constexpr int kWords = static_cast<int>(kUnitChannels<T> * sizeof(S) / 4);
  uint32_t word[kWords];
};

template <class S, class T>
RVX_DEVICE StoredUnit<S, T> fetchUnit(const UnitSource& u, int64_t voxel) {
  StoredUnit<S, T> r;
  constexpr int kWords = StoredUnit<S, T>::kWords;
  const S* from = static_cast<const S*>(u.x) + (voxel * u.channels + u.first);
  if (u.aligned) {
    if constexpr (kWords == 2) {
      const uint2 v = ld(reinterpret_cast<const uint2*>(from));
      r.word[0] = v.x, r.word[1] = v.y;
    } else {
      RVX_UNROLL
      for (int i = 0; i < kWords; i += 4) {
        const uint4 v = ld(reinterpret_cast<const uint4*>(from) + i / 4);
        r.word[i] = v.x, r.word[i + 1] = v.y, r.word[i + 2] = v.z, r.word[i + 3] = v.w;
      }
    }
    return r;
  }
  RVX_UNROLL
  for (int i = 0; i < kWords; ++i) r.word[i] = 0;
  RVX_UNROLL
  for (int j = 0; j < kUnitChannels<T>; ++j) {
    if (j >= u.count) continue;
    const S value = ld(from + j);
    if constexpr (sizeof(S) == 4)
      r.word[j] = toBits(value);
    else
      r.word[j / 2] |= static_cast<uint32_t>(value.bits) << (j % 2 * 16);
  }
  return r;
}

template <class S, class T>
RVX_DEVICE void widen(const StoredUnit<S, T>& r, float (&v)[kUnitChannels<T>]) {
  RVX_UNROLL
  for (int j = 0; j < kUnitChannels<T>; ++j) {
    if constexpr (sizeof(S) == 4)
      v[j] = fromBits(r.word[j]);
    else
      v[j] = j % 2 ? unpackHigh<S>(r.word[j / 2]) : unpackLow<S>(r.word[j / 2]);
  }
}

// Norm and activation of a unit's channels, by scale and shift of each in shared memory.
template <int N>
RVX_DEVICE void normalise(float (&v)[N], const float2* norms, float slope) {
  RVX_UNROLL
  for (int j = 0; j < N; ++j) {
    const float2 norm = lds(norms + j);
    v[j] = leakyRelu(v[j] * norm.x + norm.y, slope);
  }
}

template <class T>
RVX_DEVICE uint4 packUnit(const float (&v)[kUnitChannels<T>]) {
  if constexpr (sizeof(T) == 4)
    return make_uint4(toBits(v[0]), toBits(v[1]), toBits(v[2]), toBits(v[3]));
  else
    return make_uint4(pack<T>(v[0], v[1]), pack<T>(v[2], v[3]), pack<T>(v[4], v[5]),
                      pack<T>(v[6], v[7]));
}

}  // namespace rvx::cuda
