// Convolutions by FFMA (convolutionExact.h). FLOPs 2 * outputs * taps * Cin * Cout; least bytes: one read of x and w, one write of y.
//
// A block of 128 threads makes a tile of 8 wide positions by 8 * G channels, a thread 2 x 4 positions by 8 channels, with 64 sums
// in registers. For a chunk of 4 or 8 input channels the lattice of inputs that the tile and a group of taps touch is normalised,
// rounded and staged in shared memory, in planes of four channels: [quad][place][4], so that eight lanes side by side read 128
// bytes in a row. Along W places lie by phase (input % stride), which keeps them side by side under a stride. Weights come packed
// as [tap][Cin][Cout], zero-padded, through two buffers by asynchronous copies. Four inputs by 8 positions by 8 channels cost 16
// shared loads of 16 bytes for 256 FFMA: FFMA bounds. Up to three input channels take one channel instead of a quad.
//
// A group is all taps, or where their inputs do not fit into 40 KB, those of one index along D, along D and H, or one tap.
//
// Where the tiles are too few to fill a chip, or a sum has more than 4096 terms, the channels are split; partial sums go to a
// workspace and are added in order. The number of splits depends on the shape alone.
//
// Statistics: a block writes its mean, rounded, and the sums of deviations from it and of their squares; another kernel merges
// the blocks in a fixed order, in double.
//
// Limits: axes and channels of y below 2^31 (checkedInt), fewer than 65536 samples with statistics or a split sum (checked). Weights
// are packed anew each call, partial sums take 4 bytes a value and split. Tensor cores are not used.
#include "cuda/convolutionExact.h"
#include "cuda/convolutionExactStore.h"
#include "cuda/convolutionExactSums.h"

namespace rvx::cuda {
namespace {

// [tap][cinPad][coutPad] of weight(co, ci, tap), zeros beyond. One thread a pair of channels.
RVX_KERNEL(kExactThreads)
packWeights(const float* w, float* packed, int taps, int cin, int cinPad, int made, int coutPad,
            int cout, int64_t weightCo, int64_t weightCi, DType operand) {
  const int64_t i = int64_t{blockIdx.x} * kExactThreads + threadIdx.x;
  const int64_t pairs = int64_t{cinPad} * coutPad;
  if (i >= pairs) return;
  const auto c = static_cast<int>(i % coutPad), ci = static_cast<int>(i / coutPad);
  const bool real = c < made && ci < cin;
  const int part = cout > 0 ? c / cout : 0;
  const float* from = w + (c - part * cout) * weightCo + ci * weightCi + part;
  for (int t = 0; t < taps; ++t)
    st(packed + t * pairs + i, real ? roundTo(operand, ld(from + t)) : 0.0f);
}

// Four blocks at once leave 128 registers, of which quads need a few more.
template <int G, bool kQuads>
RVX_KERNEL_BLOCKS(kExactThreads, kQuads ? 3 : 4)
convolve(ExactPass p) {
  auto* xs = sharedMemory<float>();
  const auto t = static_cast<int>(threadIdx.x);
  const int group = t / 8 % G, positions = t / (8 * G);
  constexpr int kThreadsH = exactThreadsH(G);
  const int dFirst = positions / kThreadsH * 2, hFirst = positions % kThreadsH * 4;
  const int co = static_cast<int>(blockIdx.y) * 8 * G, split = static_cast<int>(blockIdx.z);

  ExactPlace at;
  const int tilesW = p.axis[2].tiles(), tilesH = p.axis[1].tiles(), tilesD = p.axis[0].tiles();
  auto tile = static_cast<int>(blockIdx.x);
  at.j[2] = tile % tilesW * kExactTileW, tile /= tilesW;
  at.j[1] = tile % tilesH * p.axis[1].tile, tile /= tilesH;
  at.j[0] = tile % tilesD * p.axis[0].tile;
  at.sample = tile / tilesD;

  // Distances between the thread's positions along D and H, and the first one's place.
  const int placeD = p.axis[0].lstep * p.planePitch, placeH = p.axis[1].lstep * p.rowPitch;
  const int place = dFirst * placeD + hFirst * placeH + t % 8;
  float sum[8][8];
  RVX_UNROLL
  for (int i = 0; i < 8; ++i) RVX_UNROLL
  for (int c = 0; c < 8; ++c) sum[i][c] = 0;

  const int lastChunk = (split + 1) * p.chunksPerSplit;
  for (int chunk = split * p.chunksPerSplit; chunk < lastChunk && chunk < p.chunks; ++chunk)
    for (int gd = 0; gd < p.axis[0].taps; gd += p.axis[0].group)
      for (int gh = 0; gh < p.axis[1].taps; gh += p.axis[1].group)
        for (int gw = 0; gw < p.axis[2].taps; gw += p.axis[2].group) {
          const ExactTaps taps{gd, gh, gw};
          const int first[3] = {gd, gh, gw};
          RVX_UNROLL
          for (int a = 0; a < 3; ++a)
            at.input[a] =
                at.j[a] * p.axis[a].step + p.axis[a].offset + first[a] * p.axis[a].tapStep;
          const int channel = chunk * p.chunk;
          syncBlock();
          const int stage = p.stageTaps * p.chunk * 8 * G;
          auto* ws = sharedMemory<float>(p.weightAt);
          stageWeights<G>(p, taps, channel, co, 0, p.stageTaps, ws);
          stageInput<kQuads>(p, at, channel, xs);
          for (int s = 0, buffer = 0; s < p.groupTaps; s += p.stageTaps, buffer ^= 1) {
            const int next = s + p.stageTaps, left = p.groupTaps - next;
            if (left > 0) {
              stageWeights<G>(p, taps, channel, co, next, left < p.stageTaps ? left : p.stageTaps,
                              ws + (buffer ^ 1) * stage);
              cpAsyncWait<1>();
            } else {
              cpAsyncWait<0>();
            }
            syncBlock();
            multiply<G, kQuads>(p, xs, ws + buffer * stage + 4 * group, place, placeD, placeH, s,
                                left < 0 ? p.stageTaps + left : p.stageTaps, sum);
            if (left > 0) syncBlock();
          }
        }

  bool valid[8];
  int64_t voxel[8];
  RVX_UNROLL
  for (int i = 0; i < 8; ++i) {
    const int d = at.j[0] + dFirst + i / 4, h = at.j[1] + hFirst + i % 4, w = at.j[2] + t % 8;
    valid[i] = d < p.axis[0].outputs && h < p.axis[1].outputs && w < p.axis[2].outputs;
    voxel[i] = ((int64_t{at.sample} * p.outSize[0] + p.axis[0].start + d * p.axis[0].spread) *
                    p.outSize[1] +
                p.axis[1].start + h * p.axis[1].spread) *
                   p.outSize[2] +
               p.axis[2].start + w * p.axis[2].spread;
  }
  storeSums<G>(p, co, group, split, valid, voxel, sum);
  if (p.moments && !p.split) {
    int count = 1;
    RVX_UNROLL
    for (int a = 0; a < 3; ++a) {
      const int left = p.axis[a].outputs - at.j[a];
      count *= left < p.axis[a].tile ? left : p.axis[a].tile;
    }
    writeMoments<G>(p, sum, valid, count, co, p.moments + int64_t{blockIdx.x} * p.cout + co);
  }
}

template <int G>
void launchConvolve(Context& cx, const char* name, const ExactPass& p, Dim3 blocks, size_t shared) {
  if (takesQuads(p))
    launch(cx, name, blocks, kExactThreads, shared, &convolve<G, true>, p);
  else
    launch(cx, name, blocks, kExactThreads, shared, &convolve<G, false>, p);
}

}  // namespace

void runExactGather(Context& cx, const char* name, ExactGather g) {
  const int64_t voxels = g.outSize[0] * g.outSize[1] * g.outSize[2];
  if (g.samples * voxels * g.cout == 0 || g.classes.empty()) return;
  const int64_t taps = g.kernel[0] * g.kernel[1] * g.kernel[2];
  const int cin = g.in.channels();
  const int made = checkedInt(g.cout * g.parts), G = chooseGroups(made);

  ExactPass p{};
  p.in = g.in;
  p.runs = g.in.runsOf(4);
  p.cout = checkedInt(g.cout), p.made = made;
  p.coutPad = (made + 8 * G - 1) / (8 * G) * 8 * G;
  p.cinPad = (cin + 7) / 8 * 8;
  p.kernelH = checkedInt(g.kernel[1]), p.kernelW = checkedInt(g.kernel[2]);
  p.byCout = Divider(p.cout);
  p.bias = g.bias, p.y = g.y, p.type = g.type;
  for (size_t a = 0; a < 3; ++a) p.outSize[a] = checkedInt(g.outSize[a]);

  const int64_t pairs = int64_t{p.cinPad} * p.coutPad;
  const Workspace weights(cx, size_t(std::max<int64_t>(1, taps * pairs)) * sizeof(float));
  launch(cx, (std::string(name) + "/weights").c_str(), blocksFor(pairs, kExactThreads),
         kExactThreads, 0, &packWeights, g.weight, weights.data(), checkedInt(taps), cin, p.cinPad,
         made, p.coutPad, p.cout, g.weightCo, g.weightCi, g.in.operand);
  p.weight = weights.data();

  const auto blocksOf = [&](const ExactPass& e) {
    return g.samples * e.axis[0].tiles() * e.axis[1].tiles() * e.axis[2].tiles();
  };
  // The first class is the largest.
  const ExactPass largest = cutClass(p, g.classes[0], G);
  const int64_t blocks = std::max<int64_t>(1, blocksOf(largest) * (p.coutPad / (8 * G)));
  const int64_t splits = chooseSplits(largest, blocks);
  require((splits == 1 && !g.sums) || g.samples <= 65535, "ShapeMismatch",
          "A convolution with statistics, or of so many products a result, takes fewer than 65536 "
          "samples, not " +
              std::to_string(g.samples));
  const int64_t size = g.samples * voxels * g.cout;
  const Workspace partial(cx, splits > 1 ? size_t(splits * size) * sizeof(float) : 16);
  if (splits > 1) p.split = size, p.y = partial.data();

  const int64_t momentBlocks =
      splits > 1 ? exactSplitBlocks(voxels) : blocksOf(largest) / g.samples;
  const Workspace moments(cx,
                          g.sums ? size_t(g.samples * momentBlocks * g.cout) * sizeof(float4) : 16);
  if (g.sums) p.moments = moments.data<float4>();

  for (const auto& axes : g.classes) {
    ExactPass e = cutClass(p, axes, G);
    if (blocksOf(e) == 0) continue;
    const size_t shared = finishPass(e, G, splits);
    const Dim3 grid{blocksFor(blocksOf(e), 1), static_cast<unsigned>(p.coutPad / (8 * G)),
                    static_cast<unsigned>(splits)};
    switch (G) {
      case 1:
        launchConvolve<1>(cx, name, e, grid, shared);
        break;
      case 2:
        launchConvolve<2>(cx, name, e, grid, shared);
        break;
      case 4:
        launchConvolve<4>(cx, name, e, grid, shared);
        break;
      default:
        launchConvolve<8>(cx, name, e, grid, shared);
    }
  }
  if (splits > 1) addExactSplits(cx, name, g, partial.data(), splits, p.moments);
  if (g.sums) mergeExactMoments(cx, name, g, moments.data<float4>(), momentBlocks);
}

void convolveExact(const Conv3d& op, Context& cx) {
  const Shape &s = op.x.shape(), &w = op.weight.shape(), &out = op.y.shape;
  ExactGather g;
  g.samples = s[0];
  g.in = Sources(op.x.dtype(), op.type.operand());
  g.in.set(0, op.x.data<void>(), s[4], op.scale.data(), op.shift.data(), op.slope);
  if (op.second)
    g.in.set(1, op.second.data<void>(), op.second.shape()[4], op.secondScale.data(),
             op.secondShift.data(), op.slope);
  g.classes.resize(1);
  for (int a = 0; a < 3; ++a) {
    const auto i = size_t(a);
    g.kernel[i] = w[a + 2], g.outSize[i] = out[a + 1];
    g.classes[0][i] = convolutionAxis(s[a + 1], out[a + 1], w[a + 2], op.stride[i], op.padding[i],
                                      op.dilation[i]);
  }
  g.weight = op.weight.data();
  g.weightCi = w[2] * w[3] * w[4];
  g.weightCo = w[1] * g.weightCi;
  g.bias = op.bias.data();
  g.y = op.y.data<void>(), g.type = op.type.result();
  g.cout = w[0];
  g.sums = op.sums.data();
  runExactGather(cx, "conv3d/exact", std::move(g));
}

void convolveExactGradInput(const Conv3dGradInput& op, Context& cx) {
  const Shape &s = op.dy.shape(), &w = op.weight.shape();
  ExactGather g;
  g.samples = s[0];
  g.in = Sources(op.dy.dtype(), op.type.operand());
  g.in.set(0, op.dy.data<void>(), s[4]);
  g.kernel = {w[2], w[3], w[4]};
  g.outSize = op.size;
  for (int64_t d = 0; d < op.stride[0]; ++d)
    for (int64_t h = 0; h < op.stride[1]; ++h)
      for (int64_t x = 0; x < op.stride[2]; ++x) {
        const Int3 rest{d, h, x};
        std::array<GatherAxis, 3> axes;
        for (size_t a = 0; a < 3; ++a)
          axes[a] = gradientAxis(s[int(a) + 1], op.size[a], g.kernel[a], op.stride[a],
                                 op.padding[a], op.dilation[a], rest[a]);
        g.classes.push_back(axes);
      }
  g.weightCo = w[2] * w[3] * w[4];
  g.weightCi = w[1] * g.weightCo;
  g.weight = op.weight.data() + op.first * g.weightCo;
  g.y = op.dx.data<void>(), g.type = op.type.result();
  g.cout = op.dx.shape[4];
  runExactGather(cx, "conv3dGradInput/exact", std::move(g));
}

}  // namespace rvx::cuda
