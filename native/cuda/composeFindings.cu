// composeFindings: the instances on the CT's grid, by math/findings.h, with the CPU's labels.
//
// One thread a side inverts its crop's affine, so that no number goes to the host. The map is filled with zeros; then a warp a row of the
// box looks into the crops where the row meets them, a lane a voxel for both crops, and stores what is not 0. Least bytes: one write of the
// box's voxels plus the crops. A look reads 24 logits, most of them from the first-level cache. FLOPs a voxel in a crop: about 60, for its
// three interpolations.
//
// Limits: two sides, three classes, 1 to 126 masses a side, so that labels fit a byte (ops/cascade.h). A component above the capacity is none.
// Bytes are stored one by one.
#include "cuda/launch.h"
#include "math/findings.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;

struct Sides {
  FindingsCrop crop[2];
  const double* affine[2];
};

// The box of the CT that is looked at, by its rows.
struct Box {
  int64_t start[3], width, rows;
  int height;
};

struct Inverse {
  double toCrop[12];
  int64_t usable;
};

RVX_KERNEL(32) invertSides(Sides sides, Inverse* inverses) {
  const unsigned side = threadIdx.x;
  if (side >= 2) return;
  double affine[12], inverse[12] = {};
  for (int i = 0; i < 12; ++i) affine[i] = ld(sides.affine[side] + i);
  const bool usable = invertAffine(affine, inverse);
  for (int i = 0; i < 12; ++i) st(inverses[side].toCrop + i, inverse[i]);
  st(&inverses[side].usable, int64_t{usable});
}

RVX_KERNEL(kThreads)
composeRows(Sides sides, const Inverse* inverses, Box box, uint8_t* instances) {
  const int64_t row = int64_t{blockIdx.x} * kWarps + threadIdx.x / 32;
  if (row >= box.rows) return;
  const auto d = static_cast<double>(box.start[0] + row / box.height);
  const auto h = static_cast<double>(box.start[1] + row % box.height);
  const int64_t first = box.start[2], beyond = first + box.width;
  int64_t begin[2] = {beyond, beyond}, end[2] = {first, first};
  RVX_UNROLL
  for (int side = 0; side < 2; ++side) {
    FindingsCrop& crop = sides.crop[side];
    if (!ld(&inverses[side].usable)) continue;
    RVX_UNROLL
    for (int i = 0; i < 12; ++i) crop.toCrop[i] = ld(inverses[side].toCrop + i);
    insideRange(crop, d, h, first, box.width, &begin[side], &end[side]);
    if (begin[side] >= end[side]) begin[side] = beyond, end[side] = first;
  }
  const int64_t from = begin[0] < begin[1] ? begin[0] : begin[1];
  const int64_t to = end[0] > end[1] ? end[0] : end[1];
  for (int64_t w = from + threadIdx.x % 32; w < to; w += 32) {
    uint8_t label = 0;
    RVX_UNROLL
    for (int side = 0; side < 2; ++side) {
      const FindingsCrop& crop = sides.crop[side];
      if (w < begin[side] || w >= end[side]) continue;
      const uint8_t found = lookInto(
          crop, d, h, static_cast<double>(w), [&](int64_t i) { return ld(crop.logits + i); },
          [&](int64_t i) { return ld(crop.masses + i); });
      label = joinFindings(label, found);
    }
    if (label != 0) st(instances + row * box.width + w - first, label);
  }
}

}  // namespace

template <>
void run(const ComposeFindings& op, Context& cx) {
  Sides sides{};
  const Input* logits[2] = {&op.leftLogits, &op.rightLogits};
  const Input* masses[2] = {&op.leftMasses, &op.rightMasses};
  const Input* affines[2] = {&op.leftAffine, &op.rightAffine};
  for (int side = 0; side < 2; ++side) {
    FindingsCrop& crop = sides.crop[side];
    crop.logits = logits[side]->data();
    crop.masses = masses[side]->data<uint8_t>();
    for (int a = 0; a < 3; ++a) crop.size[a] = logits[side]->shape()[a + 1];
    crop.kidney = static_cast<uint8_t>(1 + side);
    crop.firstMass = static_cast<uint8_t>(3 + side * op.capacity);
    crop.capacity = static_cast<uint8_t>(op.capacity);
    sides.affine[side] = affines[side]->data<double>();
  }
  const Workspace inverses(cx, 2 * sizeof(Inverse));
  launch(cx, "composeFindings/invert", 1u, 32u, 0, &invertSides, sides, inverses.data<Inverse>());
  auto* instances = op.instances.data<uint8_t>();
  gpu(cx).fill(instances, 0, static_cast<size_t>(op.instances.shape.size()));
  const Box box{{op.start[0], op.start[1], op.start[2]},
                op.size[2],
                op.size[0] * op.size[1],
                static_cast<int>(op.size[1])};
  launch(cx, "composeFindings/rows", blocksFor(box.rows, kWarps), kThreads, 0, &composeRows, sides,
         inverses.data<Inverse>(), box, instances);
}

}  // namespace rvx::cuda
