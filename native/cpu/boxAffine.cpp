// boxAffine: twelve numbers from one row of a table.
#include "math/findings.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const BoxAffine& op, Context&) {
  const int32_t* box = op.table.data<int32_t>() + op.row * 8 + 1;
  double crop[12];
  cropAffine(box, op.size.data(), op.spacing.data(), op.step, op.margin, op.mirror, crop);
  const double* base = op.through ? op.through.data<double>() : op.base.data();
  composeAffine(base, crop, op.affine.data<double>());
}

}  // namespace rvx::cpu
