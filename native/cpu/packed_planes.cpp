#include "cpu/packed_planes.h"

#include <algorithm>

#include "core/pool.h"
#include "cpu/isa/gather_rows.h"

namespace rvx::cpu {
namespace {

// Inner loops may read this much beyond the last row, and ignore what they find.
constexpr int64_t kSlack = 256;

}  // namespace

PackedPlanes::PackedPlanes(const PackedLayout& layout, const std::array<GatherSource, 2>& sources,
                           float slope, const Int3& size, int64_t n, int64_t firstRow,
                           int64_t rowDistance, int64_t rows)
    : layout_(layout),
      sources_(sources),
      slope_(slope),
      size_(size),
      n_(n),
      firstRow_(firstRow),
      rowDistance_(rowDistance),
      rows_(rows),
      data_(static_cast<float*>(
          threadScratch(0, size_t(layout.planes * layout.planeFloats() + kSlack) * sizeof(float)))),
      held_(size_t(layout.planes), -1) {}

void PackedPlanes::need(int64_t z) {
  const int64_t slot = layout_.slot(z);
  if (held_[size_t(slot)] == z) return;
  held_[size_t(slot)] = z;
  pack(z, data_ + slot * layout_.planeFloats());
}

void PackedPlanes::pack(int64_t z, float* plane) const {
  const int P = layout_.interleave;
  PackRow job;
  job.P = P;
  job.width = size_[2];
  job.slope = slope_;
  job.firstColumn = layout_.firstColumn;
  job.columns = layout_.columns;
  job.phases = layout_.phases;
  job.phaseSize = layout_.phaseSize;
  job.outStride = layout_.columnFloats;
  for (const auto& block : layout_.blocks) {
    int64_t before = 0;  // channels of earlier sources
    for (const GatherSource& s : sources_) {
      const int64_t from = std::max(block.first - before, int64_t{0});
      const int64_t to = std::min(block.first + block.count - before, s.channels);
      if (from < to) {
        job.stride = s.channels;
        job.channels = to - from;
        job.scale = s.scale ? s.scale + n_ * s.channels + from : nullptr;
        job.shift = s.shift ? s.shift + n_ * s.channels + from : nullptr;
        for (int64_t r = 0; r < rows_; ++r) {
          const float* rows[4];
          for (int p = 0; p < P; ++p) {
            const int64_t y = firstRow_ + p * rowDistance_ + r;
            rows[p] =
                y < 0 || y >= size_[1]
                    ? nullptr
                    : s.x + ((n_ * size_[0] + z) * size_[1] + y) * size_[2] * s.channels + from;
          }
          job.rows = rows;
          job.out = plane + r * layout_.rowFloats + (before + from - block.first) * P;
          RVX_ISA_CALL(packRow)(job);
        }
      }
      before += s.channels;
    }
    plane += layout_.blockFloats();
  }
}

}  // namespace rvx::cpu
