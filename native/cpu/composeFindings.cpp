// composeFindings: one look per voxel of the box that lies in a crop; rows outside are only zeroed.
//
// Least bytes: one write of the box's voxels plus the crops. Work is split by slices.
#include <cstring>

#include "core/pool.h"
#include "math/findings.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

FindingsCrop makeCrop(const Input& logits, const Input& masses, const Input& affine, int kidney,
                      int64_t capacity) {
  FindingsCrop c{};
  c.logits = logits.data();
  c.masses = masses.data<uint8_t>();
  for (int a = 0; a < 3; ++a) c.size[a] = logits.shape()[a + 1];
  c.usable = invertAffine(affine.data<double>(), c.toCrop);
  c.kidney = static_cast<uint8_t>(kidney);
  c.firstMass = static_cast<uint8_t>(3 + (kidney - 1) * capacity);
  c.capacity = static_cast<uint8_t>(capacity);
  return c;
}

}  // namespace

template <>
void run(const ComposeFindings& op, Context&) {
  const FindingsCrop crops[2] = {
      makeCrop(op.leftLogits, op.leftMasses, op.leftAffine, 1, op.capacity),
      makeCrop(op.rightLogits, op.rightMasses, op.rightAffine, 2, op.capacity)};
  const auto [depth, height, width] = op.size;
  const Int3 start = op.start;
  uint8_t* out = op.instances.data<uint8_t>();
  parallelFor(depth, [&, height = height, width = width](int64_t slow) {
    uint8_t* slice = out + slow * height * width;
    const auto d = static_cast<double>(start[0] + slow);
    std::memset(slice, 0, static_cast<size_t>(height * width));
    for (const FindingsCrop& c : crops) {
      if (!c.usable) continue;
      for (int64_t row = 0; row < height; ++row) {
        const auto h = static_cast<double>(start[1] + row);
        int64_t begin, end;
        insideRange(c, d, h, start[2], width, &begin, &end);
        for (int64_t w = begin; w < end; ++w) {
          const uint8_t found = lookInto(
              c, d, h, static_cast<double>(w), [&](int64_t i) { return c.logits[i]; },
              [&](int64_t i) { return c.masses[i]; });
          uint8_t& voxel = slice[row * width + w - start[2]];
          voxel = joinFindings(voxel, found);
        }
      }
    }
  });
}

}  // namespace rvx::cpu
