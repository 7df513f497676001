// sgd: one step in place over a whole list of parameters; formula in ops/optimisers.h.
// Least bytes a value: 3 floats read, 2 written.
#include "cpu/optimisers.h"
#include "cpu/tensorList.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Sgd& op, Context&) {
  const SgdStep step = sgdStep(op);
  forChunks(chunksOf(op.parameters), [&](const TensorChunk& c, size_t) {
    RVX_ISA_CALL(sgdRun)
    (step, op.gradients[c.tensor].data() + c.begin, c.end - c.begin,
     op.parameters[c.tensor].data() + c.begin, op.momenta[c.tensor].data() + c.begin);
  });
}

}  // namespace rvx::cpu
