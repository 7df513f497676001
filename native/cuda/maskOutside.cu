// maskOutside: y[v, c] = x[v, c] where mask[v] is not 0, else a value; maskEquals: y = 1 where a label is one of a list, else 0.
// Least bytes: one read of each input, one write. Packets of 16 bytes of the wider type a thread; x is not read where a packet is
// masked whole, and masks are mostly runs. No FLOPs.
//
// maskEquals takes up to kTerms values a launch among the kernel's arguments; longer lists go on from what y holds.
// Limits: f32 x, u8 mask (ops/spatial.h); labels of u8, i16 or i32; values that the labels' type cannot hold are dropped by the host.
#include <algorithm>
#include <limits>

#include "cuda/map.h"
#include "cuda/rows.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

// Four values, at most of four voxels.
RVX_KERNEL(kMapThreads)
maskOutside(const float* x, const uint8_t* mask, float value, int64_t channels, int64_t count,
            float* y) {
  const int64_t at = (int64_t{blockIdx.x} * kMapThreads + threadIdx.x) * 4;
  if (at >= count) return;
  int64_t voxel = quotient(at, channels), channel = at - voxel * channels;
  bool keep[4], some = false;
  if (channels == 1 && at + 4 <= count) {
    const auto four = ldPacket<4>(mask + at);
    RVX_UNROLL
    for (int i = 0; i < 4; ++i) some = (keep[i] = four.value[i] != 0) || some;
  } else {
    bool now = ld(mask + voxel) != 0;
    RVX_UNROLL
    for (int i = 0; i < 4; ++i) {
      if (channel == channels) {
        channel = 0, ++voxel;
        now = at + i < count && ld(mask + voxel) != 0;
      }
      ++channel;
      some = (keep[i] = now) || some;
    }
  }
  if (at + 4 <= count) {
    Packet<float, 4> v{{value, value, value, value}};
    if (some) {
      const auto loaded = ldPacket<4>(x + at);
      RVX_UNROLL
      for (int i = 0; i < 4; ++i) v.value[i] = keep[i] ? loaded.value[i] : value;
    }
    stPacket(y + at, v);
  } else {
    RVX_UNROLL
    for (int i = 0; i < 3; ++i)
      if (at + i < count) st(y + at + i, keep[i] ? ld(x + at + i) : value);
  }
}

constexpr int kTerms = 32;
struct Terms {
  int32_t value[kTerms];
  int count;
};

struct IsAny {
  Terms terms;
  template <class T>
  RVX_DEVICE uint8_t operator()(T label) const {
    bool found = false;
    for (int k = 0; k < terms.count; ++k) found = found || label == terms.value[k];
    return found ? 1 : 0;
  }
  template <class T>
  RVX_DEVICE uint8_t operator()(T label, uint8_t before) const {
    return before ? before : (*this)(label);
  }
};

template <class T>
void equalsAs(const MaskEquals& op, Context& cx) {
  std::vector<int32_t> values;
  for (double value : op.values)
    // Values that the type cannot hold occur nowhere.
    if (value >= std::numeric_limits<T>::min() && value <= std::numeric_limits<T>::max())
      values.push_back(static_cast<T>(value));
  auto* y = op.y.data<uint8_t>();
  size_t from = 0;
  do {
    IsAny isAny{};
    isAny.terms.count = static_cast<int>(std::min<size_t>(kTerms, values.size() - from));
    std::copy_n(values.begin() + static_cast<int64_t>(from), isAny.terms.count, isAny.terms.value);
    if (from == 0)
      launchMap(cx, "maskEquals", isAny, op.y.shape.size(), y, op.labels.data<T>());
    else
      launchMap(cx, "maskEquals", isAny, op.y.shape.size(), y, op.labels.data<T>(),
                static_cast<const uint8_t*>(y));
    from += kTerms;
  } while (from < values.size());
}

}  // namespace

template <>
void run(const MaskOutside& op, Context& cx) {
  const int64_t count = op.y.shape.size();
  launch(cx, "maskOutside", blocksFor(count, kMapThreads * 4), kMapThreads, 0, &maskOutside,
         op.x.data(), op.mask.data<uint8_t>(), static_cast<float>(op.value),
         volumeAxes(op.x, "x")[4], count, op.y.data());
}

template <>
void run(const MaskEquals& op, Context& cx) {
  switch (op.labels.dtype()) {
    case DType::u8:
      return equalsAs<uint8_t>(op, cx);
    case DType::i16:
      return equalsAs<int16_t>(op, cx);
    case DType::i32:
      return equalsAs<int32_t>(op, cx);
    default:
      throw Error("DtypeMismatch", "Labels are u8, i16 or i32");
  }
}

}  // namespace rvx::cuda
