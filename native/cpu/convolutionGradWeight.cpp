// Weight gradients: for every line of taps along W an outer product of channels (isa/weight_gradient.cpp),
// summed over voxels.
//
// dw[a, b, k] = sum over o of coarse[o, a] * fine[o * stride - padding + k * dilation, b].
// FLOPs: 2 * taps * a * b * voxels. Least bytes: both images once.
// Work is split by strips of rows and by lines of taps. A task packs as many rows as fit a core's cache,
// with zeros where the kernel reaches outside, and sums over them; the strips' sums are added in order.
// Strips depend on the shapes alone, so any number of threads gives the same bits.
#include "cpu/convolutionGradWeight.h"

#include <algorithm>
#include <cstring>

#include "core/pool.h"
#include "cpu/isa/weight_gradient.h"

namespace rvx::cpu {
namespace {

// How one gradient is worked out.
struct Plan {
  int64_t vector = 4;                    // lanes of a vector
  bool fineInLanes = false;              // which side's channels lie in the lanes
  int64_t coarsePad = 0, finePad = 0;    // channels a voxel takes when packed
  int64_t lanes = 0, scalars = 0, size;  // channels in lanes (to a full vector), others, product
  int64_t place = 0;                     // columns of a packed fine row
  int64_t chunk = 1;                     // rows packed together
  int64_t strips = 1;
};

int64_t rounded(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

Plan makePlan(const WeightGradient& g) {
  const int64_t a = g.coarseChannels, b = g.fineChannels;
  Plan p;
  int64_t least = -1;
  for (const int64_t* v = RVX_ISA_CALL(outerProductVectors)(); *v; ++v)
    for (const bool fine : {false, true}) {
      const int64_t cost = rounded(fine ? b : a, *v) / *v * (fine ? a : b);
      // Of equals the shorter vector, which needs less padding.
      if (least >= 0 && (cost > least || (cost == least && *v == p.vector))) continue;
      least = cost;
      p.vector = *v, p.fineInLanes = fine;
    }
  p.coarsePad = p.fineInLanes ? a : rounded(a, p.vector);
  p.finePad = p.fineInLanes ? rounded(b, p.vector) : b;
  p.lanes = p.fineInLanes ? p.finePad : p.coarsePad;
  p.scalars = p.fineInLanes ? a : b;
  p.size = p.lanes * p.scalars;
  p.place = (g.coarseSize[2] - 1) * g.stride[2] + (g.kernel[2] - 1) * g.dilation[2] + 1;
  const int64_t row = p.place * p.finePad + g.coarseSize[2] * p.coarsePad;
  // 128 KiB of packed rows.
  p.chunk = std::clamp<int64_t>((int64_t{32} << 10) / std::max<int64_t>(1, row), 1, 64);
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2];
  const int64_t voxels = g.samples * g.coarseSize[0] * g.coarseSize[1] * g.coarseSize[2];
  const int64_t most = (int64_t{4} << 20) / std::max<int64_t>(1, taps * p.size);
  p.strips = std::clamp<int64_t>(std::min(voxels / 1024, most), 1, 16);
  return p;
}

// One row of voxels, `channels` of each, to `pad` floats a voxel; `first` voxels of zeros before it.
void pack(const float* from, int64_t width, int64_t channels, int64_t pad, int64_t first,
          int64_t columns, float* to) {
  const int64_t begin = std::max<int64_t>(0, first), end = std::min(columns, first + width);
  if (end <= begin) {
    std::memset(to, 0, size_t(columns * pad) * sizeof(float));
    return;
  }
  std::memset(to, 0, size_t(begin * pad) * sizeof(float));
  from += (begin - first) * channels;
  if (channels == pad) {
    std::memcpy(to + begin * pad, from, size_t((end - begin) * pad) * sizeof(float));
  } else {
    for (int64_t w = begin; w < end; ++w, from += channels) {
      for (int64_t c = 0; c < channels; ++c) to[w * pad + c] = from[c];
      for (int64_t c = channels; c < pad; ++c) to[w * pad + c] = 0;
    }
  }
  std::memset(to + end * pad, 0, size_t((columns - end) * pad) * sizeof(float));
}

}  // namespace

void runWeightGradient(const WeightGradient& g, Context& cx) {
  const Plan p = makePlan(g);
  const auto [kD, kH, kW] = g.kernel;
  const int64_t taps = kD * kH * kW, lines = kD * kH;
  const int64_t height = g.coarseSize[1], width = g.coarseSize[2];
  const int64_t rows = g.samples * g.coarseSize[0] * height;
  Workspace partials(cx, std::max<size_t>(1, size_t(p.strips * taps * p.size)) * sizeof(float));
  const bool packCoarse = p.coarsePad != g.coarseChannels;
  parallelFor(p.strips * lines, [&, kH = kH, kW = kW](int64_t task) {
    const int64_t strip = task / lines, line = task % lines;
    const int64_t kd = line / kH, kh = line % kH;
    float* sum = partials.data() + (strip * taps + line * kW) * p.size;
    std::fill(sum, sum + kW * p.size, 0.0f);
    const int64_t fineRow = p.place * p.finePad, coarseRow = width * p.coarsePad;
    auto* fine = static_cast<float*>(
        threadScratch(0, size_t(p.chunk * (fineRow + coarseRow)) * sizeof(float)));
    float* coarse = fine + p.chunk * fineRow;
    const int64_t end = rows * (strip + 1) / p.strips;
    for (int64_t row = rows * strip / p.strips; row < end;) {
      // Rows of the coarse side that lie one after the other, until one has no partner.
      int64_t count = 0;
      const int64_t begin = row;
      for (; row < end && count < p.chunk; ++row, ++count) {
        const int64_t n = row / (g.coarseSize[0] * height);
        const int64_t zd =
            row / height % g.coarseSize[0] * g.stride[0] - g.padding[0] + kd * g.dilation[0];
        const int64_t zh = row % height * g.stride[1] - g.padding[1] + kh * g.dilation[1];
        if (zd < 0 || zd >= g.fineSize[0] || zh < 0 || zh >= g.fineSize[1]) break;
        const float* from = g.fine + ((n * g.fineSize[0] + zd) * g.fineSize[1] + zh) *
                                         g.fineSize[2] * g.fineChannels;
        pack(from, g.fineSize[2], g.fineChannels, p.finePad, g.padding[2], p.place,
             fine + count * fineRow);
        if (packCoarse)
          pack(g.coarse + row * width * g.coarseChannels, width, g.coarseChannels, p.coarsePad, 0,
               width, coarse + count * coarseRow);
      }
      if (count == 0) {
        ++row;
        continue;
      }
      OuterProduct job;
      job.coarse = packCoarse ? coarse : g.coarse + begin * width * g.coarseChannels;
      job.fine = fine;
      job.rows = count, job.width = width;
      job.coarseRow = coarseRow, job.coarseStep = p.coarsePad;
      job.fineRow = fineRow, job.fineStep = g.stride[2] * p.finePad;
      job.taps = kW, job.tapStep = g.dilation[2] * p.finePad;
      job.fineInLanes = p.fineInLanes, job.lanes = p.lanes, job.scalars = p.scalars;
      job.sum = sum, job.sumTap = p.size, job.sumScalar = p.lanes;
      RVX_ISA_CALL(outerProduct)(job, p.vector);
    }
  });
  parallelFor(g.coarseChannels, [&](int64_t i) {
    for (int64_t j = 0; j < g.fineChannels; ++j) {
      const int64_t at = p.fineInLanes ? i * p.lanes + j : j * p.lanes + i;
      for (int64_t tap = 0; tap < taps; ++tap) {
        float sum = 0;
        for (int64_t strip = 0; strip < p.strips; ++strip)
          sum += partials.data()[(strip * taps + tap) * p.size + at];
        g.dw[(i * g.dwChannels + g.dwFirst + j) * taps + tap] = sum;
      }
    }
  });
}

void runBiasGradient(const float* dy, int64_t voxels, int64_t channels, float* db, Context& cx) {
  const int64_t grain = std::max<int64_t>(1, (1 << 15) / std::max<int64_t>(1, channels));
  const int64_t chunks = (voxels + grain - 1) / grain;
  Workspace partials(cx, std::max<size_t>(1, size_t(chunks * channels)) * sizeof(double));
  parallelFor(chunks, [&](int64_t chunk) {
    double* sum = partials.data<double>() + chunk * channels;
    std::fill(sum, sum + channels, 0.0);
    const int64_t end = std::min(voxels, (chunk + 1) * grain);
    for (int64_t v = chunk * grain; v < end; ++v)
      for (int64_t c = 0; c < channels; ++c) sum[c] += dy[v * channels + c];
  });
  for (int64_t c = 0; c < channels; ++c) {
    double sum = 0;
    for (int64_t chunk = 0; chunk < chunks; ++chunk)
      sum += partials.data<double>()[chunk * channels + c];
    db[c] = float(sum);
  }
}

}  // namespace rvx::cpu
