// Marks functions that host and device compilers both compile.
#pragma once
#ifdef __CUDACC__
#define RVX_PORTABLE __host__ __device__
#else
#define RVX_PORTABLE
#endif
