// crop: y[n, o, c] = x[n, start + o, c], fill outside. Least bytes: one write of y, one read of what lies inside x. No FLOPs.
// A thread makes one packet of 16 bytes of y; it loads one of x where that lies whole inside a row and is aligned, as it is for
// even shapes, else value by value, which the first cache serves.
// Limits: f32, i32, i16 or u8 (lib/ops/crop.ts). A row shorter than a packet, or one shifted off its alignment, is loaded value by value.
#include "cuda/rows.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

struct Cut {
  int64_t depth, height, row;                // of y; a row has W C values
  int64_t inDepth, inHeight, inRow;          // of x
  int64_t startDepth, startHeight, startIn;  // startIn in values
  int64_t from, to;                          // the values of a row of y that x may have
};

// Where in x value 0 of this row of y would be, which need not be inside; false where no value is.
RVX_DEVICE bool findRow(const Cut& cut, int64_t row, int64_t& source) {
  const RowPlace place = rowPlace(row, cut.depth, cut.height);
  const int64_t d = place.d + cut.startDepth, h = place.h + cut.startHeight;
  source = ((place.n * cut.inDepth + d) * cut.inHeight + h) * cut.inRow + cut.startIn;
  return d >= 0 && d < cut.inDepth && h >= 0 && h < cut.inHeight && cut.from < cut.to;
}

template <class T>
RVX_KERNEL(kThreads)
crop(Cut cut, const T* x, T fill, int64_t count, T* y) {
  constexpr int kN = packetLength<T>();
  const int64_t at = (int64_t{blockIdx.x} * kThreads + threadIdx.x) * kN;
  if (at >= count) return;
  int64_t row = quotient(at, cut.row), place = at - row * cut.row, source;
  bool inside = findRow(cut, row, source);
  Packet<T, kN> values;
  if (inside && place >= cut.from && place + kN <= cut.to && (source + place) % kN == 0) {
    values = ldPacket<kN>(x + source + place);
  } else {
    RVX_UNROLL
    for (int i = 0; i < kN; ++i) {
      if (place == cut.row) place = 0, inside = at + i < count && findRow(cut, ++row, source);
      values.value[i] =
          inside && place >= cut.from && place < cut.to ? ld(x + source + place) : fill;
      ++place;
    }
  }
  if (at + kN <= count) {
    stPacket(y + at, values);
  } else {
    RVX_UNROLL
    for (int i = 0; i < kN - 1; ++i)
      if (at + i < count) st(y + at + i, values.value[i]);
  }
}

template <class T>
void cropAs(const Crop& op, Context& cx) {
  const std::array<int64_t, 5> in = volumeAxes(op.x, "x"), out = volumeAxes(op.y.shape, "y");
  const int64_t c = in[4];
  Cut cut{};
  cut.depth = out[1], cut.height = out[2], cut.row = out[3] * c;
  cut.inDepth = in[1], cut.inHeight = in[2], cut.inRow = in[3] * c;
  cut.startDepth = op.start[0], cut.startHeight = op.start[1], cut.startIn = op.start[2] * c;
  cut.from = std::clamp<int64_t>(-op.start[2], 0, out[3]) * c;
  cut.to = std::clamp<int64_t>(in[3] - op.start[2], 0, out[3]) * c;
  const int64_t count = op.y.shape.size();
  launch(cx, "crop", blocksFor(count, kThreads * packetLength<T>()), kThreads, 0, &crop<T>, cut,
         op.x.data<T>(), static_cast<T>(op.fill), count, op.y.data<T>());
}

}  // namespace

template <>
void run(const Crop& op, Context& cx) {
  switch (op.x.dtype()) {
    case DType::f32:
      return cropAs<float>(op, cx);
    case DType::i32:
      return cropAs<int32_t>(op, cx);
    case DType::i16:
      return cropAs<int16_t>(op, cx);
    case DType::u8:
      return cropAs<uint8_t>(op, cx);
    default:
      throw Error("DtypeMismatch", "Crops take f32, i32, i16 or u8");
  }
}

}  // namespace rvx::cuda
