// Between tensors and the transformed forms of winograd_plan.h: weights, rows of input tiles (both
// sources, norm on load, zeros outside) and rows of output tiles (bias, statistics).
#include <algorithm>

#include "core/pool.h"
#include "cpu/isa/gather_rows.h"
#include "cpu/winograd_plan.h"

namespace rvx::cpu {

void winogradWeights(const Gather& g, const WinogradPlan& plan, float* weights) {
  // Where each tap of the weight goes: a gradient's are flipped.
  int64_t place[27];
  const auto& k = g.axes;
  const int64_t lanes = plan.lanes;
  for (size_t d = 0; d < 3; ++d)
    for (size_t h = 0; h < 3; ++h)
      for (size_t w = 0; w < 3; ++w)
        place[(k[0].kernel[d] * 3 + k[1].kernel[h]) * 3 + k[2].kernel[w]] =
            int64_t(9 * d + 3 * h + w) * lanes;
  const int64_t vectors = plan.couts / lanes;
  parallelFor(vectors * plan.blocks, [&](int64_t task) {
    const int64_t vector = task / plan.blocks, block = task % plan.blocks;
    const int64_t first = vector * lanes, firstCi = block * kWinogradBlock;
    const int64_t valid = std::clamp<int64_t>(plan.channelCount - first, 0, lanes);
    const int64_t channels = std::min(kWinogradBlock, plan.cin - firstCi);
    auto* taps =
        static_cast<float*>(threadScratch(1, size_t(kWinogradBlock * 27 * lanes) * sizeof(float)));
    const float* from = g.weight + (plan.firstChannel + first) * g.weightCo + firstCi * g.weightCi;
    if (g.weightCi == 27) RVX_ISA_CALL(packLanes)
    (from, g.weightCo, valid, 1, channels * 27, 27, place, 27 * lanes, taps);
    else for (int64_t ci = 0; ci < channels; ++ci) RVX_ISA_CALL(packLanes)(
        from + ci * g.weightCi, g.weightCo, valid, 1, 27, 27, place, 0, taps + ci * 27 * lanes);
    const auto& out = *std::find_if(plan.outBlocks.begin(), plan.outBlocks.end(),
                                    [&](const auto& b) { return first < b.first + b.NV * lanes; });
    const int64_t width = out.NV * lanes;
    WinogradWeight job;
    job.taps = taps;
    job.channels = channels;
    job.padded = plan.run;
    job.to = weights + out.first * plan.channels() + block * plan.run * width + first - out.first;
    job.pointStride = plan.weightPoint();
    job.depthStride = plan.productFloats();
    job.step = width;
    RVX_ISA_CALL(winogradWeight)(job);
  });
}

std::vector<float> winogradBias(const Gather& g, const WinogradPlan& plan) {
  std::vector<float> bias(size_t(plan.couts), 0.0f);
  if (g.bias) std::copy_n(g.bias + plan.firstChannel, plan.channelCount, bias.begin());
  return bias;
}

void winogradInput(const WinogradSource& in, const Lattice& lattice, int64_t z, int64_t tileRow,
                   float* out, int64_t pointStride, int64_t blockStride, float* buffer) {
  const int64_t firstRow = tileRow * kWinogradTile + lattice.first[1], n = lattice.sample;
  const int64_t apart = lattice.step[2];
  const auto row = [&](const GatherSource& s, int64_t y) {
    return y < 0 || y >= lattice.size[1] ? nullptr : s.x + lattice.row(in.size, s.channels, z, y);
  };
  WinogradLoad job;
  job.slope = in.slope;
  job.tiles = in.tilesW;
  job.pointStride = pointStride;
  for (int64_t b = 0; b < in.blocks; ++b, out += blockStride) {
    const int64_t first = b * kWinogradBlock, last = first + kWinogradBlock;
    job.out = out;
    const bool inSecond = first >= in.sources[0].channels;
    const GatherSource& s = in.sources[inSecond];
    const int64_t from = inSecond ? first - in.sources[0].channels : first;
    if (from + kWinogradBlock <= s.channels) {
      for (int64_t r = 0; r < 6; ++r) {
        const float* x = row(s, firstRow + r);
        job.rows[r] = x ? x + from : nullptr;
      }
      job.stride = s.channels * apart;
      job.width = lattice.size[2];
      job.scale = s.scale ? s.scale + n * s.channels + from : nullptr;
      job.shift = s.shift ? s.shift + n * s.channels + from : nullptr;
      job.firstColumn = lattice.first[2];
      RVX_ISA_CALL(winogradLoad)(job);
      continue;
    }
    // A block that is not whole or has channels of both sources is put together first.
    const int64_t columns = in.tilesW * kWinogradTile + 2;
    std::fill(buffer, buffer + in.bufferFloats(), 0.0f);
    PackRow pack;
    pack.P = 1;
    pack.width = lattice.size[2];
    pack.slope = in.slope;
    pack.firstColumn = lattice.first[2];
    pack.columns = pack.phaseSize = columns;
    pack.phases = 1;
    pack.outStride = kWinogradBlock;
    int64_t before = 0;
    for (const GatherSource& source : in.sources) {
      const int64_t begin = std::max(first - before, int64_t{0});
      const int64_t end = std::min(last - before, source.channels);
      for (int64_t r = 0; r < 6 && begin < end; ++r) {
        const float* x = row(source, firstRow + r);
        if (!x) continue;
        x += begin;
        pack.rows = &x;
        pack.stride = source.channels * apart;
        pack.channels = end - begin;
        pack.scale = source.scale ? source.scale + n * source.channels + begin : nullptr;
        pack.shift = source.shift ? source.shift + n * source.channels + begin : nullptr;
        pack.out = buffer + r * columns * kWinogradBlock + before + begin - first;
        RVX_ISA_CALL(packRow)(pack);
      }
      before += source.channels;
    }
    for (int64_t r = 0; r < 6; ++r) job.rows[r] = buffer + r * columns * kWinogradBlock;
    job.stride = kWinogradBlock;
    job.width = columns;
    job.scale = job.shift = nullptr;
    job.firstColumn = 0;
    RVX_ISA_CALL(winogradLoad)(job);
  }
}

int64_t winogradOutput(const Gather& g, const WinogradPlan& plan, const Lattice& lattice, int64_t d,
                       int64_t tileRow, const float* in, int64_t pointStride, const float* bias,
                       float* moments) {
  WinogradStore job;
  job.in = in;
  job.pointStride = pointStride;
  job.tileStride = plan.couts;
  job.tiles = plan.tilesW;
  int64_t rows = 0;
  for (int64_t r = 0; r < kWinogradTile; ++r) {
    const int64_t h = tileRow * kWinogradTile + r;
    job.rows[r] = nullptr;
    if (h >= lattice.size[1]) continue;
    job.rows[r] = g.y + lattice.row(g.outSize, g.cout, d, h) + plan.firstChannel;
    ++rows;
  }
  job.stride = g.cout * lattice.step[2];
  job.width = lattice.size[2];
  job.channels = plan.channelCount;
  // Fewer lanes come to a line in several turns.
  job.stream = plan.lanes == 16 && plan.firstChannel % 16 == 0 && g.passesCaches();
  job.bias = bias;
  job.mean = moments;
  job.m2 = moments ? moments + plan.couts : nullptr;
  RVX_ISA_CALL(winogradStore)(job);
  return rows * job.width;
}

}  // namespace rvx::cpu
