// The language of kernels (kernel.h) for nvcc. Inline assembly of the whole backend stands here and nowhere else.
#pragma once
#include <cuda_runtime.h>

#include <cstdint>

#include "math/convert.h"
#include "math/maximum.h"

#define RVX_KERNEL(threads) __global__ void __launch_bounds__(threads)
// With the least number of blocks on a multiprocessor, which bounds the registers.
#define RVX_KERNEL_BLOCKS(threads, blocks) __global__ void __launch_bounds__(threads, blocks)
#define RVX_DEVICE __device__ __forceinline__
#define RVX_UNROLL _Pragma("unroll")

namespace rvx::cuda {

template <class T>
RVX_DEVICE T ld(const T* p) {
  return *p;
}
template <class T>
RVX_DEVICE void st(T* p, T value) {
  *p = value;
}
template <class T>
RVX_DEVICE T lds(const T* p) {
  return *p;
}
template <class T>
RVX_DEVICE void sts(T* p, T value) {
  *p = value;
}
template <class T>
RVX_DEVICE T* sharedMemory(unsigned bytes = 0) {
  extern __shared__ __align__(128) unsigned char rvxShared[];
  return reinterpret_cast<T*>(rvxShared + bytes);
}

RVX_DEVICE void syncBlock() { __syncthreads(); }
RVX_DEVICE void syncWarp() { __syncwarp(); }
template <class T>
RVX_DEVICE T shuffle(T value, int lane) {
  return __shfl_sync(0xffffffffu, value, lane);
}
template <class T>
RVX_DEVICE T shuffleDown(T value, int by) {
  return __shfl_down_sync(0xffffffffu, value, static_cast<unsigned>(by));
}
template <class T>
RVX_DEVICE T shuffleUp(T value, int by) {
  return __shfl_up_sync(0xffffffffu, value, static_cast<unsigned>(by));
}
template <class T>
RVX_DEVICE T shuffleXor(T value, int mask) {
  return __shfl_xor_sync(0xffffffffu, value, mask);
}
RVX_DEVICE uint32_t ballot(bool b) { return __ballot_sync(0xffffffffu, b); }
RVX_DEVICE bool any(bool b) { return __any_sync(0xffffffffu, b) != 0; }
RVX_DEVICE bool all(bool b) { return __all_sync(0xffffffffu, b) != 0; }

// Each returns what stood there before.
using Word64 = unsigned long long;  // NOLINT: the type that CUDA's functions take
RVX_DEVICE int32_t atomicAdd(int32_t* p, int32_t v) { return ::atomicAdd(p, v); }
RVX_DEVICE uint32_t atomicAdd(uint32_t* p, uint32_t v) { return ::atomicAdd(p, v); }
RVX_DEVICE uint64_t atomicAdd(uint64_t* p, uint64_t v) {
  return ::atomicAdd(reinterpret_cast<Word64*>(p), static_cast<Word64>(v));
}
RVX_DEVICE int32_t atomicMin(int32_t* p, int32_t v) { return ::atomicMin(p, v); }
RVX_DEVICE uint32_t atomicMin(uint32_t* p, uint32_t v) { return ::atomicMin(p, v); }
RVX_DEVICE uint64_t atomicMin(uint64_t* p, uint64_t v) {
  return ::atomicMin(reinterpret_cast<Word64*>(p), static_cast<Word64>(v));
}
RVX_DEVICE int32_t atomicMax(int32_t* p, int32_t v) { return ::atomicMax(p, v); }
RVX_DEVICE uint32_t atomicMax(uint32_t* p, uint32_t v) { return ::atomicMax(p, v); }
RVX_DEVICE uint64_t atomicMax(uint64_t* p, uint64_t v) {
  return ::atomicMax(reinterpret_cast<Word64*>(p), static_cast<Word64>(v));
}
RVX_DEVICE uint32_t atomicOr(uint32_t* p, uint32_t v) { return ::atomicOr(p, v); }
RVX_DEVICE int32_t atomicCas(int32_t* p, int32_t expected, int32_t v) {
  return ::atomicCAS(p, expected, v);
}
RVX_DEVICE uint32_t atomicCas(uint32_t* p, uint32_t expected, uint32_t v) {
  return ::atomicCAS(p, expected, v);
}
RVX_DEVICE uint64_t atomicCas(uint64_t* p, uint64_t expected, uint64_t v) {
  return ::atomicCAS(reinterpret_cast<Word64*>(p), static_cast<Word64>(expected),
                     static_cast<Word64>(v));
}
RVX_DEVICE void fenceDevice() { __threadfence(); }

RVX_DEVICE uint32_t sharedAddress(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
RVX_DEVICE void cpAsync16(void* shared, const void* global, bool valid) {
#if __CUDA_ARCH__ >= 800
  const int bytes = valid ? 16 : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;\n" ::"r"(sharedAddress(shared)),
               "l"(global), "r"(bytes)
               : "memory");
#else
  *static_cast<uint4*>(shared) = valid ? *static_cast<const uint4*>(global) : uint4{0, 0, 0, 0};
#endif
}
RVX_DEVICE void cpAsyncCommit() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;\n" ::: "memory");
#endif
}
template <int N>
RVX_DEVICE void cpAsyncWait() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;\n" ::"n"(N) : "memory");
#endif
}

RVX_DEVICE void ldmatrixX4(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}
RVX_DEVICE void ldmatrixX4Trans(uint32_t (&r)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];\n"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(sharedAddress(row))
               : "memory");
}

// bf16 needs compute capability 8.0; the host refuses it below (chip().atLeast(80)).
template <class T>
RVX_DEVICE void mma16816(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]);
template <>
RVX_DEVICE void mma16816<Bf16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, "
      "{%8,%9}, {%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  __trap();
#endif
}
template <>
RVX_DEVICE void mma16816<F16>(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#else
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[0]), "r"(a[1]), "r"(b[0]));
  asm("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, "
      "{%0,%1,%2,%3};\n"
      : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
      : "r"(a[2]), "r"(a[3]), "r"(b[1]));
#endif
}

RVX_DEVICE uint32_t packBf16(float low, float high) {
#if __CUDA_ARCH__ >= 800
  uint32_t r;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;\n" : "=r"(r) : "f"(high), "f"(low));
  return r;
#else
  return static_cast<uint32_t>(toBf16(low)) | (static_cast<uint32_t>(toBf16(high)) << 16);
#endif
}
RVX_DEVICE uint32_t packF16(float low, float high) {
  uint16_t a, b;
  asm("cvt.rn.f16.f32 %0, %1;\n" : "=h"(a) : "f"(low));
  asm("cvt.rn.f16.f32 %0, %1;\n" : "=h"(b) : "f"(high));
  return static_cast<uint32_t>(a) | (static_cast<uint32_t>(b) << 16);
}
RVX_DEVICE float halfToFloat(uint16_t h) {
  float f;
  asm("cvt.f32.f16 %0, %1;\n" : "=f"(f) : "h"(h));
  return f;
}

// As math/maximum.h says.
RVX_DEVICE float maximum(float a, float b) {
#if __CUDA_ARCH__ >= 800
  float r;
  asm("max.NaN.f32 %0, %1, %2;\n" : "=f"(r) : "f"(a), "f"(b));
  return r;
#else
  return rvx::maximum(a, b);
#endif
}

RVX_DEVICE float fma(float a, float b, float c) { return ::fmaf(a, b, c); }
RVX_DEVICE double fma(double a, double b, double c) { return ::fma(a, b, c); }
RVX_DEVICE int popcount(uint32_t x) { return __popc(x); }
RVX_DEVICE int leadingZeros(uint32_t x) { return __clz(static_cast<int>(x)); }
RVX_DEVICE int trailingZeros(uint32_t x) { return x ? __ffs(static_cast<int>(x)) - 1 : 32; }

}  // namespace rvx::cuda

#include "cuda/pairs.h"
