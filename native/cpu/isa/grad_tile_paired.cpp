// Weight-gradient tiles for few channels: two or four rows share a vector.
#include "cpu/isa/grad_tile_body.h"

namespace rvx::RVX_ISA {

GradFunction findGradPaired(GradKind k) {
#if RVX_ISA_LANES > 4
  if (k.P == 2) return pickGradOf<2>(k);
  if (k.P == 4 && k.NV == 1) return pickGradOf<4>(k);
#endif
  (void)k;
  return nullptr;
}

}  // namespace rvx::RVX_ISA
