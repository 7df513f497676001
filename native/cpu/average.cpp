// average: running average of a whole list of parameters, in place.
// Least bytes a value: 2 floats read, 1 written.
#include "cpu/optimisers.h"
#include "cpu/tensorList.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Average& op, Context&) {
  forChunks(chunksOf(op.averages), [&](const TensorChunk& c, size_t) {
    RVX_ISA_CALL(averageRun)
    (static_cast<float>(1 - op.decay), op.parameters[c.tensor].data() + c.begin, c.end - c.begin,
     op.averages[c.tensor].data() + c.begin);
  });
}

}  // namespace rvx::cpu
