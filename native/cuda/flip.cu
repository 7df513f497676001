// flip: mirrors along chosen axes. Least bytes: one read, one write. No FLOPs. A thread makes one packet of 16 bytes of y; it loads one of x
// where rows run forward and the packet lies whole in one and is aligned, else value by value, which the first cache serves.
// Limits: none but memory: values of any type are moved by their width, 1, 2, 4 or 8 bytes (rows.h). Mirrored along w, all is loaded value by value.
#include "cuda/rows.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Mirror {
  int64_t depth, height, row, channels;  // a row has W C values
  bool d, h, w;
};

// Where in x the row begins that becomes this row of y.
RVX_DEVICE int64_t rowBehind(const Mirror& m, int64_t row) {
  const RowPlace p = rowPlace(row, m.depth, m.height);
  const int64_t d = m.d ? m.depth - 1 - p.d : p.d, h = m.h ? m.height - 1 - p.h : p.h;
  return ((p.n * m.depth + d) * m.height + h) * m.row;
}
// Which value of that row becomes this one of y's.
RVX_DEVICE int64_t placeBehind(const Mirror& m, int64_t place) {
  if (!m.w) return place;
  if (m.channels == 1) return m.row - 1 - place;
  const int64_t voxel = quotient(place, m.channels) * m.channels;
  return m.row - m.channels - voxel + (place - voxel);
}

template <class T>
RVX_KERNEL(kThreads)
flip(Mirror mirror, const T* x, int64_t count, T* y) {
  constexpr int kN = packetLength<T>();
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kN;
  if (at >= count) return;
  int64_t row = quotient(at, mirror.row), place = at - row * mirror.row;
  int64_t source = rowBehind(mirror, row);
  if (!mirror.w && place + kN <= mirror.row && (source + place) % kN == 0) {
    stPacket(y + at, ldPacket<kN>(x + source + place));
    return;
  }
  const bool whole = at + kN <= count;
  Packet<T, kN> values;
  RVX_UNROLL
  for (int i = 0; i < kN; ++i) {
    if (!whole && at + i >= count) break;
    if (place == mirror.row) place = 0, source = rowBehind(mirror, ++row);
    values.value[i] = ld(x + source + placeBehind(mirror, place));
    ++place;
    if (!whole) st(y + at + i, values.value[i]);
  }
  if (whole) stPacket(y + at, values);
}

}  // namespace

template <>
void run(const Flip& op, Context& cx) {
  const std::array<int64_t, 5> axes = volumeAxes(op.x, "x");
  const Mirror mirror{axes[1],         axes[2],         axes[3] * axes[4], axes[4],
                      op.axes[0] != 0, op.axes[1] != 0, op.axes[2] != 0};
  const int64_t count = op.y.shape.size();
  withWidth(sizeOf(op.x.dtype()), [&](auto* of) {
    using T = std::remove_pointer_t<decltype(of)>;
    launch(cx, "flip", blocksFor(count, kThreads * packetLength<T>()), kThreads, 0, &flip<T>,
           mirror, op.x.data<T>(), count, op.y.data<T>());
  });
}

}  // namespace rvx::cuda
