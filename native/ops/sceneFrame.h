// What both backends derive from a drawScene's attributes.
#pragma once
#include <array>
#include <cmath>

#include "math/scene.h"
#include "ops/drawing.h"

namespace rvx {

// mm to index, by cofactors.
inline std::array<double, 12> inverse(const Affine& m) {
  std::array<double, 12> r{};
  const auto at = [&](int i, int j) { return m[static_cast<size_t>(4 * i + j)]; };
  const double det = at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
                     at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
                     at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
  require(std::isfinite(det) && det != 0, "InvalidArgument", "The affine of drawScene is singular");
  for (int i = 0; i < 3; ++i) {
    double offset = 0;
    for (int j = 0; j < 3; ++j) {
      const int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
      const double e = (at(a, c) * at(b, d) - at(a, d) * at(b, c)) / det;
      r[static_cast<size_t>(4 * i + j)] = e;
      offset -= e * at(j, 3);
    }
    r[static_cast<size_t>(4 * i + 3)] = offset;
  }
  return r;
}

struct SceneFrame {
  IndexToMm toMm;
  std::array<double, 12> toIndex;
  DisplacementField field;
  Textures textures;
  float voxel;

  explicit SceneFrame(const DrawScene& op)
      : toIndex(inverse(op.affine)), voxel(static_cast<float>(op.voxel)) {
    for (size_t i = 0; i < 12; ++i) toMm.m[i] = static_cast<float>(op.affine[i]);
    textures = {static_cast<uint32_t>(op.seed), static_cast<float>(1 / op.fineScale),
                static_cast<float>(1 / op.coarseScale)};
    field.data = op.displacement.data();
    if (!field.data) return;
    for (int i = 0; i < 3; ++i) {
      field.n[i] = op.displacement.shape()[2 - i];
      field.start[i] = static_cast<float>(op.fieldStart[static_cast<size_t>(i)]);
      field.rate[i] = 1.0f / static_cast<float>(op.fieldStep[static_cast<size_t>(i)]);
    }
  }
};

}  // namespace rvx
