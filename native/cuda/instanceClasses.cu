// instanceClasses: y = x where x < first, else first + classes[x - first], 0 where there is no such class.
// Least bytes: one read, one write; 16 voxels a thread (map.h). The classes, at most 256 bytes, stay in the first cache. No FLOPs.
// Classes above 255 - first must fail the operation, so the host reads them back and waits for the GPU.
// Limits: u8; first and the number of classes within 256 (ops/cascade.h).
#include <array>

#include "cuda/map.h"
#include "ops/instanceClasses.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

struct ClassOf {
  const uint8_t* classes;
  int first, count;
  RVX_DEVICE uint8_t operator()(uint8_t x) const {
    const int k = x - first;
    if (k < 0) return x;
    return k < count ? static_cast<uint8_t>(first + ld(classes + k)) : uint8_t{0};
  }
};

}  // namespace

template <>
void run(const InstanceClasses& op, Context& cx) {
  const auto count = static_cast<size_t>(op.classes.shape().size());
  std::array<uint8_t, 256> classes{};
  if (count > 0) {
    cx.device.copyOut(classes.data(), op.classes.data<uint8_t>(), count);
    cx.device.transfers.readbacks++;
    cx.device.transfers.readbackBytes += count;
  }
  requireClasses(op, classes.data());
  const ClassOf classOf{op.classes.data<uint8_t>(), static_cast<int>(op.first),
                        static_cast<int>(op.classes.shape().size())};
  launchMap(cx, "instanceClasses", classOf, op.y.shape.size(), op.y.data<uint8_t>(),
            op.x.data<uint8_t>());
}

}  // namespace rvx::cuda
