// adam: one step in place over a whole list of parameters; formula in ops/optimisers.h.
// Least bytes a value: 4 floats read, 3 written.
#include "cpu/optimisers.h"
#include "cpu/tensorList.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Adam& op, Context&) {
  const AdamStep step = adamStep(op);
  forChunks(chunksOf(op.parameters), [&](const TensorChunk& c, size_t) {
    RVX_ISA_CALL(adamRun)
    (step, op.gradients[c.tensor].data() + c.begin, c.end - c.begin,
     op.parameters[c.tensor].data() + c.begin, op.first[c.tensor].data() + c.begin,
     op.second[c.tensor].data() + c.begin);
  });
}

}  // namespace rvx::cpu
