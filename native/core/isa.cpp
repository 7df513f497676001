#include "core/isa.h"

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <initializer_list>

namespace rvx {

// cpu/isa/registers.cpp
RVX_ISA_DECLARE(bool usesAvx512();)

namespace {

// Whether the sources of avx512 were compiled for AVX2, to be tested without AVX-512.
bool lowered() {
#if defined(__x86_64__)
  return !avx512::usesAvx512();
#else
  return false;
#endif
}

Isa best() {
  Isa found = Isa::baseline;
  if (isaSupported(Isa::avx2)) found = Isa::avx2;
  if (isaSupported(Isa::avx512) && !lowered()) found = Isa::avx512;
  if (const char* text = std::getenv("RENVOX_ISA"))
    for (Isa i : {Isa::baseline, Isa::avx2, Isa::avx512})
      if (!std::strcmp(text, nameOf(i)) && i < found) found = i;
  return found;
}

std::atomic<Isa>& current() {
  static std::atomic<Isa> value{best()};
  return value;
}

}  // namespace

bool isaSupported(Isa wanted) {
#if defined(__x86_64__)
  // __builtin_cpu_supports also asks the operating system whether it saves the wide registers.
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (wanted == Isa::avx2) return avx2;
  if (wanted == Isa::avx512)
    return avx2 && (lowered() ||
                    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                     __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")));
#endif
  return wanted == Isa::baseline;
}

Isa isa() { return current().load(std::memory_order_relaxed); }

bool setIsa(Isa wanted) {
  if (!isaSupported(wanted)) return false;
  current().store(wanted, std::memory_order_relaxed);
  return true;
}

const char* nameOf(Isa isa) {
  switch (isa) {
    case Isa::baseline:
      return "baseline";
    case Isa::avx2:
      return "avx2";
    case Isa::avx512:
      return "avx512";
  }
  return "?";
}

}  // namespace rvx
