// The language of kernels (cuda/kernel.h) for the host: simulated threads on fibres. See machine.h for how a block runs.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "cuda/sim/machine.h"
#include "math/convert.h"
#include "math/maximum.h"

#define RVX_KERNEL(threads) static void
#define RVX_KERNEL_BLOCKS(threads, blocks) static void
#define RVX_DEVICE inline __attribute__((always_inline))
#define RVX_UNROLL
#define threadIdx (::rvx::cuda::sim::self->thread)
#define blockIdx (::rvx::cuda::sim::state.block)
#define blockDim (::rvx::cuda::sim::state.threads)
#define gridDim (::rvx::cuda::sim::state.grid)

namespace rvx::cuda {

struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) int2 {
  int32_t x, y;
};
struct alignas(16) int4 {
  int32_t x, y, z, w;
};
struct alignas(16) double2 {
  double x, y;
};
RVX_DEVICE uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }
RVX_DEVICE uint2 make_uint2(uint32_t x, uint32_t y) { return {x, y}; }
RVX_DEVICE float4 make_float4(float x, float y, float z, float w) { return {x, y, z, w}; }
RVX_DEVICE float2 make_float2(float x, float y) { return {x, y}; }
RVX_DEVICE int4 make_int4(int32_t x, int32_t y, int32_t z, int32_t w) { return {x, y, z, w}; }

// A misaligned access ends a kernel on a GPU, so it does here.
template <class T>
RVX_DEVICE T ld(const T* p) {
  static_assert(sizeof(T) <= 16, "one access moves at most 16 bytes");
  if (__builtin_expect(sim::state.counting, 0)) sim::noteGlobal(p, sizeof(T), false);
  if (reinterpret_cast<uintptr_t>(p) % alignof(T)) sim::fault("misaligned global load");
  return *p;
}
template <class T>
RVX_DEVICE void st(T* p, T value) {
  static_assert(sizeof(T) <= 16, "one access moves at most 16 bytes");
  if (__builtin_expect(sim::state.counting, 0)) sim::noteGlobal(p, sizeof(T), true);
  if (reinterpret_cast<uintptr_t>(p) % alignof(T)) sim::fault("misaligned global store");
  *p = value;
}
template <class T>
RVX_DEVICE T lds(const T* p) {
  if (__builtin_expect(sim::state.counting, 0)) sim::noteShared(p, sizeof(T));
  if (!sim::inShared(p, sizeof(T))) sim::fault("shared load outside the block's shared memory");
  if (reinterpret_cast<uintptr_t>(p) % alignof(T)) sim::fault("misaligned shared load");
  return *p;
}
template <class T>
RVX_DEVICE void sts(T* p, T value) {
  if (__builtin_expect(sim::state.counting, 0)) sim::noteShared(p, sizeof(T));
  if (!sim::inShared(p, sizeof(T))) sim::fault("shared store outside the block's shared memory");
  if (reinterpret_cast<uintptr_t>(p) % alignof(T)) sim::fault("misaligned shared store");
  *p = value;
}
template <class T>
RVX_DEVICE T* sharedMemory(unsigned bytes = 0) {
  return reinterpret_cast<T*>(sim::state.shared + bytes);
}

RVX_DEVICE void syncBlock() { sim::syncBlock(); }
RVX_DEVICE void syncWarp() { sim::meet(sim::Meeting::sync, nullptr, nullptr, 0); }

namespace sim {
template <class T>
RVX_DEVICE T exchange(T value, int from) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a shuffle moves 4 or 8 bytes");
  T result;
  meet(Meeting::shuffle, &value, &result, static_cast<int>(sizeof(T)) * 64 + from);
  return result;
}
}  // namespace sim

template <class T>
RVX_DEVICE T shuffle(T value, int lane) {
  return sim::exchange(value, lane & 31);
}
template <class T>
RVX_DEVICE T shuffleDown(T value, int by) {
  const int lane = sim::self->lane, from = lane + by;
  return sim::exchange(value, from < 32 ? from : lane);
}
template <class T>
RVX_DEVICE T shuffleUp(T value, int by) {
  const int lane = sim::self->lane, from = lane - by;
  return sim::exchange(value, from >= 0 ? from : lane);
}
template <class T>
RVX_DEVICE T shuffleXor(T value, int mask) {
  return sim::exchange(value, (sim::self->lane ^ mask) & 31);
}
RVX_DEVICE uint32_t ballot(bool b) {
  uint32_t result;
  sim::meet(sim::Meeting::ballot, &b, &result, 0);
  return result;
}
RVX_DEVICE bool any(bool b) { return ballot(b) != 0; }
RVX_DEVICE bool all(bool b) { return ballot(b) == 0xffffffffu; }

// Blocks run one after the other, so plain arithmetic is atomic.
template <class T>
RVX_DEVICE T atomicAdd(T* p, T v) {
  sim::noteAtomic(p, sizeof(T));
  const T before = *p;
  *p = static_cast<T>(before + v);
  return before;
}
template <class T>
RVX_DEVICE T atomicMin(T* p, T v) {
  sim::noteAtomic(p, sizeof(T));
  const T before = *p;
  if (v < before) *p = v;
  return before;
}
template <class T>
RVX_DEVICE T atomicMax(T* p, T v) {
  sim::noteAtomic(p, sizeof(T));
  const T before = *p;
  if (v > before) *p = v;
  return before;
}
RVX_DEVICE uint32_t atomicOr(uint32_t* p, uint32_t v) {
  sim::noteAtomic(p, sizeof *p);
  const uint32_t before = *p;
  *p = before | v;
  return before;
}
template <class T>
RVX_DEVICE T atomicCas(T* p, T expected, T v) {
  sim::noteAtomic(p, sizeof(T));
  const T before = *p;
  if (before == expected) *p = v;
  return before;
}
RVX_DEVICE void fenceDevice() {}

RVX_DEVICE void cpAsync16(void* shared, const void* global, bool valid) {
  sim::copyLater(shared, global, valid);
}
RVX_DEVICE void cpAsyncCommit() { sim::commitCopies(); }
template <int N>
RVX_DEVICE void cpAsyncWait() {
  sim::finishCopies(N);
}

RVX_DEVICE void ldmatrixX4(uint32_t (&r)[4], const void* row) {
  sim::meet(sim::Meeting::ldmatrix, row, r, 0);
}
RVX_DEVICE void ldmatrixX4Trans(uint32_t (&r)[4], const void* row) {
  sim::meet(sim::Meeting::ldmatrix, row, r, 1);
}

template <class T>
RVX_DEVICE void mma16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
  const sim::MmaOperands operands{a, b};
  sim::meet(
      sizeof(T) == sizeof(Bf16) && sim::isBf16<T> ? sim::Meeting::mmaBf16 : sim::Meeting::mmaF16,
      &operands, d, 0);
}

RVX_DEVICE uint32_t packBf16(float low, float high) {
  return static_cast<uint32_t>(toBf16(low)) | (static_cast<uint32_t>(toBf16(high)) << 16);
}
RVX_DEVICE uint32_t packF16(float low, float high) {
  return static_cast<uint32_t>(toF16(low)) | (static_cast<uint32_t>(toF16(high)) << 16);
}
RVX_DEVICE float halfToFloat(uint16_t h) { return fromF16(h); }

RVX_DEVICE float maximum(float a, float b) { return rvx::maximum(a, b); }

// Without an FMA unit libm's fma is a hundred times slower; no test may rest on the last bit.
RVX_DEVICE float fma(float a, float b, float c) { return a * b + c; }
RVX_DEVICE double fma(double a, double b, double c) { return a * b + c; }
RVX_DEVICE int popcount(uint32_t x) { return __builtin_popcount(x); }
RVX_DEVICE int leadingZeros(uint32_t x) { return x ? __builtin_clz(x) : 32; }
RVX_DEVICE int trailingZeros(uint32_t x) { return x ? __builtin_ctz(x) : 32; }

}  // namespace rvx::cuda

#include "cuda/pairs.h"
