// Blocks of voxels with class scores over the last axis. A block is turned into one plane a class,
// so that vectors run over voxels whatever the number of classes.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/isa.h"
#include "ops/classes.h"

namespace rvx::cpu {

// Voxels of a block: its planes stay in the second cache.
inline int64_t classBlock(int64_t classes) {
  return std::clamp<int64_t>((1 << 14) / classes / 16 * 16, 16, 256);
}
// Floats of scratch that a block function needs.
inline int64_t classScratch(int64_t classes) { return (2 * classes + 6) * classBlock(classes); }

// Voxels of a chunk, the unit of parallel work and of partial sums.
constexpr int64_t kClassChunk = 1 << 13;

struct Labels {
  const void* data;
  bool wide;  // i32, else u8
  int64_t ignore = kNoLabel;
};

// Copies labels begin.. as i32; ignored ones become -1. Throws InvalidArgument for labels that are
// no class.
void readLabels(const Labels& labels, int64_t begin, int64_t count, int64_t classes, int32_t* to);

RVX_ISA_DECLARE(
    void softmaxBlock(const float* x, int64_t voxels, int64_t classes, float* scratch, float* y);
    void softmaxGradBlock(const float* y, const float* dy, int64_t voxels, int64_t classes,
                          float* scratch, float* dx);
    void argmaxBlock(const float* x, int64_t voxels, int64_t classes, float* scratch, uint8_t* y);
    // Adds to sums[0] the weighted losses and to sums[1] the weights; labels -1 have none.
    // The cross entropy with a focus above 0 is the focal loss.
    void crossEntropyBlock(const float* x, const int32_t* labels, const float* weights, float focus,
                           int64_t voxels, int64_t classes, float* scratch, double* sums);
    // dx = factor weights[label] (p - t), with a focus times focalRate(p of the label).
    void crossEntropyGradBlock(const float* x, const int32_t* labels, const float* weights,
                               float focus, float factor, int64_t voxels, int64_t classes,
                               float* scratch, float* dx);
    // Adds to sums[c] the sums over the block of p t, p and t.
    void softDiceBlock(const float* x, const int32_t* labels, int64_t voxels, int64_t classes,
                       float* scratch, double (*sums)[3]);
    // With q = absent[c] + t (present[c] - absent[c]): dx = p (q - sum p q).
    void softDiceGradBlock(const float* x, const int32_t* labels, const float* absent,
                           const float* present, int64_t voxels, int64_t classes, float* scratch,
                           float* dx);)

}  // namespace rvx::cpu
