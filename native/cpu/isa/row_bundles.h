// Row kernels of connectedComponents on bit masks, one for each instruction set.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

// Rows of a map as bit masks, 64 voxels a word, in bundles of side x side rows along d and h (side 1 or
// 2), numbered in raster order. A run of a bundle is one of the union of its rows.
struct RowBundles {
  int64_t D, H, W;         // voxels
  int64_t side;            // 1, 2
  int64_t planes, across;  // bundles along d and h
  int64_t words;           // of a row
  uint64_t* bits;          // [bundle][word][row of the bundle]; 0 beyond the map
  int32_t* first;          // first run of each bundle; first[planes * across] = number of runs
  int32_t* parent;         // of each run; [-1] may be read
};

RVX_ISA_DECLARE(
    // Fills bits of bundles begin..end-1 from elements of 1, 2 or 4 bytes, and first[bundle + 1] with
    // the number of runs.
    void maskBundles(const RowBundles& r, const void* labels, int64_t elementBytes, int64_t begin,
                     int64_t end);
    // Unites the runs of a plane of bundles that touch: each other's (inPlane), those of the plane
    // before (before).
    void uniteBundles(const RowBundles& r, int connectivity, int64_t plane, bool inPlane,
                      bool before);
    // For side 2: numbers the roots of a plane of bundles, `roots` of them, from n + 1 on in raster
    // order of their components' first voxels; parent[root] = -number. Others' parents are their roots.
    void numberBundles(const RowBundles& r, int64_t plane, int64_t roots, int32_t n);
    // Writes parent[run] to the voxels of rows begin..end-1 of the map, 0 to the background.
    void writeRows(const RowBundles& r, int64_t begin, int64_t end, int32_t* out);)

}  // namespace rvx::cpu
