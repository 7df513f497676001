// What a kernel file includes: the language of kernels, for nvcc or for the host (sim/language.h), where the same source runs on
// simulated threads. A kernel keeps to these names; inline assembly and CUDA's own headers stay behind them.
//
//   RVX_KERNEL(threads) name(arguments) { ... }      one block has at most `threads` threads, a multiple of 32
//   RVX_DEVICE                                       a function that kernels call
//   threadIdx, blockIdx, blockDim, gridDim           as CUDA's
//   ld(p), st(p, value)                              global memory, so that the simulator can count; T up to 16 bytes, aligned
//   sharedMemory<T>(bytes)                           this block's dynamic shared memory from a byte offset on
//   lds(p), sts(p, value)                            shared memory
//   syncBlock(), syncWarp()                          all threads of the block, of the warp
//   shuffle, shuffleDown, shuffleUp, shuffleXor      T of 4 or 8 bytes; by all 32 lanes together
//   ballot(bool), any(bool), all(bool)               likewise
//   atomicAdd, atomicMin, atomicMax, atomicOr, atomicCas    on int32_t, uint32_t and uint64_t alone: sums of floats would depend on order
//   fenceDevice()                                    writes before it are seen by all blocks before writes after it
//   cpAsync16(shared, global, valid)                 16 bytes, zeros where not valid; done after cpAsyncWait
//   cpAsyncCommit(), cpAsyncWait<N>()                at most N groups are still under way; then syncBlock() for other threads' data
//   ldmatrixX4(r, row), ldmatrixX4Trans(r, row)      four 8x8 matrices of 16-bit values; lane l gives row l % 8 of matrix l / 8
//   mma16816(d, a, b), Bf16 or F16 by type           d [16x8] f32 += a [16x16] b [16x8]; fragments as in the PTX manual
//   packBf16(lo, hi), packF16(lo, hi), unpackLow..   two floats in one register
//   fma(a, b, c)                                     one rounding on a GPU; the simulator may round twice
//   popcount, leadingZeros, trailingZeros (of 32 bits)
//
// Rules that keep the simulator and a GPU alike: every thread of a block reaches the same barriers, and every lane of a warp the
// same warp functions, so a thread without work stays in step; blocks do not wait for each other; shared memory is dynamic and
// holds nothing at the start; no static __shared__, no printf, no recursion, no doubles' atomics. nvcc is told not to fuse a * b + c,
// so that formulas of native/math give the CPU's bits; where speed counts say fma.
#pragma once
#if defined(RVX_SIM)
#include "cuda/sim/language.h"
#else
#include "cuda/language.h"
#endif
