// What a chip must have for products on tensor cores.
#pragma once
#include "cuda/launch.h"

namespace rvx::cuda {

inline void requireTensorCores(Context& cx, DType operand) {
  const Chip& chip = gpu(cx).chip();
  require(operand != DType::bf16 || chip.atLeast(80), "InvalidArgument",
          "Precision bf16 needs a GPU of compute capability 8.0; this one has " +
              std::to_string(chip.major) + "." + std::to_string(chip.minor) + " (use fp16)");
}

}  // namespace rvx::cuda
