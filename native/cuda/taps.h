// Tables of taps on the device (math/axisMap.h makes them): for each position along an axis a run of the other grid's positions
// and their weights.
#pragma once
#include <cstring>
#include <vector>

#include "cuda/launch.h"
#include "math/axisMap.h"

namespace rvx::cuda {

struct alignas(16) Tap {
  int32_t first, count, offset;
  float inside;  // the part of the weights that falls on voxels and not outside
};

// One axis as kernels see it: position o has weight[tap[o].offset + i] at tap[o].first + i.
struct Taps {
  const Tap* tap;
  const float* weight;
};

struct TapTable {
  std::vector<Tap> taps;
  std::vector<float> weights;
};

inline TapTable tapTable(const AxisTaps& t) {
  TapTable table;
  for (size_t o = 0; o < t.first.size(); ++o)
    table.taps.push_back({t.first[o], t.count[o], t.offset[o], t.inside[o]});
  table.weights = t.weight;
  return table;
}

// The same taps by input: position i of the input's `in` gets from outputs tap[i].first + k, in their order.
inline TapTable turnedTable(const AxisTaps& t, int64_t in) {
  TapTable table;
  table.taps.assign(static_cast<size_t>(in), Tap{0, 0, 0, 1});
  for (size_t o = 0; o < t.first.size(); ++o)
    for (int32_t k = 0; k < t.count[o]; ++k) {
      Tap& tap = table.taps[static_cast<size_t>(t.first[o] + k)];
      if (tap.count++ == 0) tap.first = static_cast<int32_t>(o);
    }
  int32_t offset = 0;
  for (Tap& tap : table.taps) {
    tap.offset = offset;
    offset += tap.count;
  }
  table.weights.resize(static_cast<size_t>(offset));
  for (size_t o = 0; o < t.first.size(); ++o)
    for (int32_t k = 0; k < t.count[o]; ++k) {
      const Tap& tap = table.taps[static_cast<size_t>(t.first[o] + k)];
      table.weights[static_cast<size_t>(tap.offset) + o - static_cast<size_t>(tap.first)] =
          t.weight[static_cast<size_t>(t.offset[o] + k)];
    }
  return table;
}

// The tables of three axes, in one upload.
class DeviceTaps {
 public:
  DeviceTaps(Context& cx, const std::array<TapTable, 3>& tables)
      : bytes_(pack(tables)), memory_(cx, bytes_) {
    const auto* tap = reinterpret_cast<const Tap*>(memory_.data());
    for (size_t a = 0; a < 3; ++a) axes_[a].tap = tap, tap += tables[a].taps.size();
    const auto* weight = reinterpret_cast<const float*>(tap);
    for (size_t a = 0; a < 3; ++a) axes_[a].weight = weight, weight += tables[a].weights.size();
  }
  const Taps& operator[](size_t axis) const { return axes_[axis]; }

 private:
  static std::vector<unsigned char> pack(const std::array<TapTable, 3>& tables) {
    std::vector<unsigned char> bytes;
    const auto add = [&](const void* from, size_t count) {
      const size_t at = bytes.size();
      bytes.resize(at + count);
      if (count) std::memcpy(bytes.data() + at, from, count);
    };
    for (const TapTable& t : tables) add(t.taps.data(), t.taps.size() * sizeof(Tap));
    for (const TapTable& t : tables) add(t.weights.data(), t.weights.size() * sizeof(float));
    return bytes;
  }
  const std::vector<unsigned char> bytes_;
  const DeviceTable<unsigned char> memory_;
  Taps axes_[3];
};

// Outputs of an axis map seen along the input's axes: how many, and how far apart in the output, in voxels.
struct TurnedOutput {
  int count[3];
  int64_t stride[3];

  TurnedOutput(const AxisMap& map, const Int3& out) {
    const int64_t strides[3] = {out[1] * out[2], out[2], 1};
    for (size_t a = 0; a < 3; ++a) {
      const auto o = static_cast<size_t>(map.order[a]);
      count[a] = static_cast<int>(out[o]);
      stride[a] = strides[o];
    }
  }
};

}  // namespace rvx::cuda
