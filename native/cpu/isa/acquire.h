// Row kernels of acquire and raggedMask, one for each instruction set. Formulas in math/acquire.h and math/noise.h.
#pragma once
#include <cstdint>

#include "core/isa.h"
#include "math/acquire.h"

namespace rvx::cpu {

// Widths that results of blurLines are rounded up to.
constexpr int64_t kLineGrain = 16;

// Lattice values that outlineRow needs room for.
inline int64_t outlineNodes(int64_t width) { return 4 * (width + 2 + kLineGrain); }

RVX_ISA_DECLARE(
    // y[r][i] = sum over t of weight[t] * lines[r][i + t], in the order of t, for i below `width` and on to the next multiple of
    // kLineGrain: lines are that much longer, whatever is there.
    void blurLines(const float* lines, int64_t stride, const float* weight, int64_t taps,
                   int64_t rows, int64_t width, float* y, int64_t yStride);
    // White noise of the elements first..first + n - 1.
    void whiteNoise(uint32_t first, uint32_t seed, int64_t n, float* y);
    // The window of image + scale * noise; noise may be nullptr. With `channel` the mask is beside it, else it cuts, where there is one.
    void finishRow(const float* image, const float* noise, float scale, const DisplayWindow& window,
                   const uint8_t* mask, bool channel, int64_t n, float* y);
    // The mask of row h of slice d, of `n` voxels. nodes: scratch of outlineNodes(n).
    void outlineRow(const RaggedOutline& outline, const float* soft, int64_t d, int64_t h,
                    int64_t n, float* nodes, uint8_t* mask);)

}  // namespace rvx::cpu
