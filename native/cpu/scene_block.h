// A block of drawScene's voxels while it is drawn, and the loops over them. Formulas in math/scene.h.
#pragma once
#include <cstdint>

#include "core/isa.h"
#include "math/scene.h"

namespace rvx::cpu {

// Voxels of a block along D, H, W. A row of it is a vector or a few.
constexpr int64_t kBlockDepth = 4, kBlockHeight = 4, kBlockWidth = 16;
constexpr int64_t kBlockVoxels = kBlockDepth * kBlockHeight * kBlockWidth;

// All that is known of its voxels, D slowest. Where the grid ends within a block, the last voxel of a row is repeated.
struct alignas(64) SceneBlock {
  float x[kBlockVoxels], y[kBlockVoxels], z[kBlockVoxels];  // displaced points, mm
  float hu[kBlockVoxels];
  float fine[kBlockVoxels], coarse[kBlockVoxels];  // SD of the textures, HU
  float distance[kBlockVoxels];                    // scratch: to a primitive, mm
  float fixedX[kBlockVoxels], fixedY[kBlockVoxels], fixedZ[kBlockVoxels];  // where `fixed`
  uint8_t tissue[kBlockVoxels], label[kBlockVoxels], instance[kBlockVoxels];
  // Of the displaced points, mm.
  float low[3], high[3];
  int64_t at[3];     // its first voxel
  int64_t n[3];      // voxels in the grid
  bool fixed;        // whether the points that are not displaced are known
  uint32_t tissues;  // bit t: some voxel may be of tissue t
};

// A part of a block: rows from `row` on, and of each the voxels from..to-1.
struct BlockPart {
  int64_t row, rows, from, to;
};

RVX_ISA_DECLARE(
    // Empties the block at `at` and finds its displaced points.
    void openBlock(SceneBlock& block, const IndexToMm& map, const DisplacementField& field);
    // Finds the points that are not displaced.
    void fixBlock(SceneBlock& block, const IndexToMm& map);
    // Paints a primitive, in the places of the points that are not displaced where `fixed`.
    void paintBlock(SceneBlock& block, const BlockPart& part, const float* primitive, float voxel,
                    bool fixed);
    void textureBlock(SceneBlock& block, const Textures& textures);)

}  // namespace rvx::cpu
