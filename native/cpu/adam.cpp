// adam: one step in place over a whole list of parameters; formula in ops/optimisers.h.
// Least bytes a value: 4 floats read, 3 written.
#include <cmath>

#include "cpu/optimisers.h"
#include "cpu/tensorList.h"
#include "ops/ops.h"

namespace rvx::cpu {

template <>
void run(const Adam& op, Context&) {
  const auto n = static_cast<double>(op.step);
  AdamStep step{};
  step.share1 = static_cast<float>(1 - op.beta1);
  step.beta2 = static_cast<float>(op.beta2), step.share2 = static_cast<float>(1 - op.beta2);
  step.eps = static_cast<float>(op.eps);
  step.l2 = op.decoupled ? 0.0f : static_cast<float>(op.weightDecay);
  step.shrink = op.decoupled ? static_cast<float>(1 - op.lr * op.weightDecay) : 1.0f;
  step.size = static_cast<float>(op.lr / (1 - std::pow(op.beta1, n)));
  step.root = static_cast<float>(std::sqrt(1 - std::pow(op.beta2, n)));
  forChunks(chunksOf(op.parameters), [&](const TensorChunk& c, size_t) {
    RVX_ISA_CALL(adamRun)
    (step, op.gradients[c.tensor].data() + c.begin, c.end - c.begin,
     op.parameters[c.tensor].data() + c.begin, op.first[c.tensor].data() + c.begin,
     op.second[c.tensor].data() + c.begin);
  });
}

}  // namespace rvx::cpu
