// composeFindings: one look per CT voxel that lies in a crop; rows outside are only zeroed.
//
// Least bytes: one write of the CT's voxels plus the crops. Work is split by CT slices.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "core/pool.h"
#include "math/affine.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

struct Crop {
  const float* logits;
  const uint8_t* masses;
  int64_t size[3];
  double toCrop[12];  // CT index -> crop index
  bool usable;
  uint8_t kidney, firstMass;
};

Crop makeCrop(const Input& logits, const Input& masses, const Input& affine, int kidney,
              int64_t firstMass) {
  Crop c{};
  c.logits = logits.data();
  c.masses = masses.data<uint8_t>();
  for (int a = 0; a < 3; ++a) c.size[a] = logits.shape()[a + 1];
  // A side without a kidney was skipped: its affine reads as zeros, which has no inverse.
  c.usable = invertAffine(affine.data<double>(), c.toCrop);
  c.kidney = static_cast<uint8_t>(kidney);
  c.firstMass = static_cast<uint8_t>(firstMass);
  return c;
}

// The range of w for which every crop coordinate lies in [0, size - 1].
void insideRange(const Crop& c, double d, double h, int64_t width, int64_t* begin, int64_t* end) {
  double low = 0, high = static_cast<double>(width - 1);
  for (int a = 0; a < 3; ++a) {
    const double* m = c.toCrop + 4 * a;
    const double offset = m[0] * d + m[1] * h + m[3], slope = m[2];
    const double most = static_cast<double>(c.size[a] - 1);
    if (slope == 0) {
      if (offset < 0 || offset > most) high = -1;
      continue;
    }
    const double at0 = -offset / slope, at1 = (most - offset) / slope;
    low = std::max(low, std::min(at0, at1));
    high = std::min(high, std::max(at0, at1));
  }
  *begin = static_cast<int64_t>(std::ceil(low));
  *end = high < low ? *begin : static_cast<int64_t>(std::floor(high)) + 1;
}

uint8_t look(const Crop& c, double d, double h, double w) {
  const double at[3] = {c.toCrop[0] * d + c.toCrop[1] * h + c.toCrop[2] * w + c.toCrop[3],
                        c.toCrop[4] * d + c.toCrop[5] * h + c.toCrop[6] * w + c.toCrop[7],
                        c.toCrop[8] * d + c.toCrop[9] * h + c.toCrop[10] * w + c.toCrop[11]};
  int64_t base[3];
  float part[3][2];
  for (int a = 0; a < 3; ++a) {
    const double floor = std::min(std::max(std::floor(at[a]), 0.0),
                                  static_cast<double>(std::max<int64_t>(c.size[a] - 2, 0)));
    base[a] = static_cast<int64_t>(floor);
    const float f = std::min(std::max(static_cast<float>(at[a] - floor), 0.0f), 1.0f);
    part[a][0] = 1 - f, part[a][1] = f;
  }
  float sum[3] = {0, 0, 0}, bestWeight = 0;
  uint8_t component = 0;
  for (int corner = 0; corner < 8; ++corner) {
    int64_t index = 0;
    float weight = 1;
    for (int a = 0; a < 3; ++a) {
      const int bit = (corner >> (2 - a)) & 1;
      index = index * c.size[a] + std::min(base[a] + bit, c.size[a] - 1);
      weight *= part[a][bit];
    }
    for (int k = 0; k < 3; ++k) sum[k] += weight * c.logits[index * 3 + k];
    if (c.masses[index] && weight > bestWeight) bestWeight = weight, component = c.masses[index];
  }
  if (sum[2] > sum[1] && sum[2] > sum[0])
    return component ? static_cast<uint8_t>(c.firstMass + component - 1) : c.kidney;
  return sum[1] > sum[0] ? c.kidney : 0;
}

}  // namespace

template <>
void run(const ComposeFindings& op, Context&) {
  const Crop crops[2] = {
      makeCrop(op.leftLogits, op.leftMasses, op.leftAffine, 1, 3),
      makeCrop(op.rightLogits, op.rightMasses, op.rightAffine, 2, 3 + op.capacity)};
  const auto [depth, height, width] = op.size;
  uint8_t* out = op.instances.data<uint8_t>();
  parallelFor(depth, [&, height = height, width = width](int64_t d) {
    uint8_t* slice = out + d * height * width;
    std::memset(slice, 0, static_cast<size_t>(height * width));
    for (const Crop& c : crops) {
      if (!c.usable) continue;
      for (int64_t h = 0; h < height; ++h) {
        int64_t begin, end;
        insideRange(c, static_cast<double>(d), static_cast<double>(h), width, &begin, &end);
        for (int64_t w = begin; w < end; ++w) {
          const uint8_t found =
              look(c, static_cast<double>(d), static_cast<double>(h), static_cast<double>(w));
          uint8_t& voxel = slice[h * width + w];
          if (voxel == 0 || (voxel < 3 && found >= 3)) voxel = found;
        }
      }
    }
  });
}

}  // namespace rvx::cpu
