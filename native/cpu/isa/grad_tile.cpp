#include "cpu/isa/grad_tile_body.h"

namespace rvx::RVX_ISA {

GradFunction findGrad(GradKind k) { return k.P == 1 ? pickGradOf<1>(k) : findGradPaired(k); }

const int* gradSizes(int NV, int R) {
  static const int one[] = {RVX_GRAD_1, 0}, two[] = {RVX_GRAD_2, 0}, rows[] = {RVX_GRAD_ROWS, 0};
  return R == 3 ? rows : NV == 1 ? one : two;
}

void unpackLanes(const float* from, int64_t partials, int64_t partialStride, const int64_t* place,
                 int64_t step, int64_t valid, int P, int64_t length, int64_t taps, float* to,
                 int64_t stride) {
  int64_t tap = 0, base = 0;
  for (int64_t j = 0; j < length; j += kLanes) {
    const int64_t count = length - j < kLanes ? length - j : kLanes;
    Vec rows[kLanes] = {};
    for (int64_t i = 0; i < count; ++i) {
      const float* at = from + place[tap] + base;
      for (int64_t q = 0; q < partials; ++q) rows[i] += load(at + q * partialStride);
      if (++tap == taps) tap = 0, base += step;
    }
    transpose(rows);
    for (int64_t a = 0; a < valid; ++a) {
      Vec v = rows[a * P];
      for (int p = 1; p < P; ++p) v += rows[a * P + p];
      if (count == kLanes)
        store(to + a * stride + j, v);
      else
        std::memcpy(to + a * stride + j, &v, sizeof(float) * size_t(count));
    }
  }
}

void sumChannels(const float* y, int64_t voxels, int64_t channels, float* scratch, double* sums) {
  // kLanes voxels are `channels` vectors, and lane l of vector i always holds the same channel.
  int64_t v = 0;
  while (voxels - v >= kLanes) {
    const int64_t groups = (voxels - v) / kLanes < 16 ? (voxels - v) / kLanes : 16;
    for (int64_t i = 0; i < channels; ++i) {
      Vec sum{};
      for (int64_t g = 0; g < groups; ++g)
        sum += load(y + (v + g * kLanes) * channels + i * kLanes);
      store(scratch + i * kLanes, sum);
    }
    for (int64_t l = 0; l < kLanes; ++l)
      for (int64_t c = 0; c < channels; ++c) sums[c] += scratch[l * channels + c];
    v += groups * kLanes;
  }
  for (; v < voxels; ++v)
    for (int64_t c = 0; c < channels; ++c) sums[c] += y[v * channels + c];
}

}  // namespace rvx::RVX_ISA
