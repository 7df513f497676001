// boxAffine: twelve numbers from one row of a table.
#include <algorithm>

#include "math/affine.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const BoxAffine& op, Context&) {
  const int32_t* box = op.table.data<int32_t>() + op.row * 8;
  double step = op.step;
  for (size_t a = 0; a < 3; ++a) {
    const double extent = (box[4 + a] - box[1 + a] + 1) * op.spacing[a] + 2 * op.margin;
    step = std::max(step, extent / static_cast<double>(op.size[a]));
  }
  double crop[12] = {};
  for (size_t a = 0; a < 3; ++a) {
    const double middle = (box[1 + a] + box[4 + a]) / 2.0;
    const double sign = op.mirror && a == 2 ? -1 : 1;
    const double scale = sign * step / op.spacing[a];
    crop[5 * a] = scale;
    crop[4 * a + 3] = middle - scale * static_cast<double>(op.size[a] - 1) / 2;
  }
  const double* base = op.through ? op.through.data<double>() : op.base.data();
  composeAffine(base, crop, op.affine.data<double>());
}

}  // namespace rvx::cpu
