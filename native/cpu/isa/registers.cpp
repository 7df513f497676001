// What this variant was compiled for (core/isa.cpp).
#include "core/isa.h"

namespace rvx::RVX_ISA {

// No instruction beyond the baseline may be in here.
bool usesAvx512() {
#if defined(__AVX512F__)
  return true;
#else
  return false;
#endif
}

}  // namespace rvx::RVX_ISA
