// A ring of packed input planes: the rows that a strip of output rows needs, padded with zeros,
// normalised, two sources next to each other, channels in blocks, P rows interleaved.
//
//   plane: [block][row][column's place][channels of a block][P]
#pragma once
#include <vector>

#include "ops/operation.h"

namespace rvx::cpu {

// A tensor that is read, normalised while loading: leaky(x * scale + shift) where scale is given.
struct GatherSource {
  const float* x = nullptr;
  int64_t channels = 0;
  const float *scale = nullptr, *shift = nullptr;  // [N, channels]
};

struct PackedLayout {
  struct Block {
    int64_t first, count;  // channels
  };
  std::vector<Block> blocks;
  // Row r of the strip holds, float by float, `interleave` input rows that lie apart.
  int interleave = 1;
  int64_t columnFloats = 0;              // of one column of one block
  int64_t columns = 0, firstColumn = 0;  // of the input, zeros outside it
  int64_t phases = 1, phaseSize = 0;  // column c lies at place c % phases * phaseSize + c / phases
  int64_t rowFloats = 0, rows = 0;
  int64_t firstPlane = 0, planes = 0;  // z >= firstPlane goes to slot (z - firstPlane) % planes

  int64_t blockFloats() const { return rows * rowFloats; }
  int64_t planeFloats() const { return blockFloats() * int64_t(blocks.size()); }
  int64_t slot(int64_t z) const { return (z - firstPlane) % planes; }
};

class PackedPlanes {
 public:
  // Of sample n; row r of the strip is made of the input rows firstRow + p * rowDistance + r.
  PackedPlanes(const PackedLayout& layout, const std::array<GatherSource, 2>& sources, float slope,
               const Int3& size, int64_t n, int64_t firstRow, int64_t rowDistance, int64_t rows);

  bool inside(int64_t z) const { return z >= 0 && z < size_[0]; }
  // Packs plane z, inside, unless the ring has it.
  void need(int64_t z);
  const float* data() const { return data_; }

 private:
  void pack(int64_t z, float* plane) const;

  const PackedLayout& layout_;
  const std::array<GatherSource, 2>& sources_;
  float slope_;
  Int3 size_;
  int64_t n_, firstRow_, rowDistance_, rows_;
  float* data_;
  std::vector<int64_t> held_;
};

}  // namespace rvx::cpu
