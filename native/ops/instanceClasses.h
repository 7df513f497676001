// What InstanceClasses asks of its classes, which infer() does not see: every backend asks it of them once they are on the host.
#pragma once
#include "ops/cascade.h"

namespace rvx {

inline void requireClasses(const InstanceClasses& op, const uint8_t* classes) {
  for (int64_t i = 0; i < op.classes.shape().size(); ++i)
    require(op.first + classes[i] <= 255, "InvalidArgument",
            "Expected classes of 0 to " + std::to_string(255 - op.first) +
                " for tensor classes with first " + std::to_string(op.first) + " but received " +
                std::to_string(classes[i]));
}

}  // namespace rvx
