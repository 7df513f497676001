// Marks functions that host and device compilers both compile. A file of loops that the compiler is to vectorise defines
// RVX_PORTABLE_INLINE first: then they become part of its loops, whatever their size, and no copy made for one instruction set is left over
// for the linker to choose.
#pragma once
#ifdef __CUDACC__
#define RVX_PORTABLE __host__ __device__
#elif defined(RVX_PORTABLE_INLINE) && defined(__GNUC__)
#define RVX_PORTABLE [[gnu::always_inline]]
#else
#define RVX_PORTABLE
#endif
