// Loops of drawScene over neighbouring voxels of a row: distances to a primitive, paint, textures. Formulas in math/scene.h.
#pragma once
#include <cstdint>

#include "core/isa.h"
#include "math/scene.h"

namespace rvx::cpu {

// Voxels of a row, each array from the first of them on.
struct SceneRow {
  int64_t n;
  const float *x, *y, *z;  // displaced points, mm
  float *hu, *fine, *coarse;
  uint8_t *tissue, *label, *instance;
  float* scratch;  // 2 n
};

RVX_ISA_DECLARE(
    // Paints a primitive. px, py, pz: the points that its distance is of, the displaced ones but for a fixed primitive.
    void paintRow(const SceneRow& row, const float* primitive, float voxel, const float* px,
                  const float* py, const float* pz);
    void textureRow(const SceneRow& row, const Textures& textures);)

}  // namespace rvx::cpu
