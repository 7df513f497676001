// Which instruction set the hot loops use. Files in native/cpu/isa/ are compiled once per set, each
// into the namespace RVX_ISA, with RVX_ISA_LANES floats to a vector; callers pick at run time.
#pragma once

namespace rvx {

enum class Isa { baseline, avx2, avx512 };

// The best set that this CPU and operating system support; RENVOX_ISA (baseline, avx2, avx512) may
// lower it.
Isa isa();
// For tests: uses `wanted` from the next operation on, where the CPU has it; returns whether it
// has.
bool setIsa(Isa wanted);
bool isaSupported(Isa wanted);
const char* nameOf(Isa isa);

}  // namespace rvx

// Declares a function in every variant's namespace: RVX_ISA_DECLARE(void f(int);)
// Calls the variant of the moment: RVX_ISA_CALL(f)(1)
#if defined(__x86_64__)
#define RVX_ISA_DECLARE(...) \
  namespace baseline {       \
  __VA_ARGS__                \
  }                          \
  namespace avx2 {           \
  __VA_ARGS__                \
  }                          \
  namespace avx512 {         \
  __VA_ARGS__                \
  }
#define RVX_ISA_CALL(f)                           \
  (::rvx::isa() == ::rvx::Isa::avx512 ? avx512::f \
   : ::rvx::isa() == ::rvx::Isa::avx2 ? avx2::f   \
                                      : baseline::f)
#else
#define RVX_ISA_DECLARE(...) \
  namespace baseline {       \
  __VA_ARGS__                \
  }
#define RVX_ISA_CALL(f) (baseline::f)
#endif
