// Convolution on tensor cores (m16n8k16 of bf16 or fp16, sums in f32): Y[n, o, co] as convolutionTensor.h says.
//
// FLOPs 2 * N * outputs * taps * Cin * Cout, plus the padding of channels to 16 and of tiles. Least bytes: x, weight read, y written
// once; a tile reads its halo again (1.7 to 2.8 times its voxels, mostly from the second-level cache).
//
// Implicit GEMM over one halo tile: a block makes a tile of voxels times output channels (convolutionTensorPlan.h). A
// step brings 16 input channels of the halo and the weights of a group of taps into shared memory, two buffers each, so that the next
// step's copies run beside this step's products; every tap is a shift in the halo. Taps along H of 3x3x3 kernels share the loads
// of their rows (4 + 2 rows for 3 x 4 products). Halo units come by asynchronous copies where x is stored in the products' type and
// has no norm; otherwise through registers, normalised, and zeroed again outside x. Haloes that do not fit are gathered tap by tap.
//
// Many tiles: as many blocks as the chip holds make a run of them each, and keep the weights where they fit. Few tiles: the steps
// are shared by `splits` blocks, whose partial sums are added in order by convolutionTensorSums.cu.
//
// Limits: fewer than 2^31 voxels a sample of x, 65536 samples and 2^31 tiles (checked, the tiles in convolutionTensorPlan.cpp); compute
// capability 8.0 for bf16. Without a stride a dilation makes as many classes along an axis, or one a position of y where those are fewer:
// each is a tile of its own, of which wide dilations fill little. With a stride a dilation spreads the halo, which is then gathered. Kernels
// of some 16000 taps or more (on an H100; 2400 in 64 KB) and nine channels or more have no tile (hasTile) and are convolutionExact.h's.
#include "cuda/convTranspose3dTensor.h"
#include "cuda/convolutionTensorKernel.h"
#include "cuda/convolutionTensorPack.h"
#include "cuda/convolutionTensorPool.h"
#include "cuda/convolutionTensorSums.h"
#include "cuda/launch.h"
#include "cuda/norm.h"

namespace rvx::cuda {

Stored storedAs(DType type) {
  return type == DType::f32 ? Stored::f32 : type == DType::bf16 ? Stored::bf16 : Stored::f16;
}

namespace {

bool poolsOnStore(const TensorConvolution& c, const TensorTile& t) {
  bool dense = true;
  for (const TensorAxis& a : c.axis) dense = dense && a.apart == 1;
  return c.pooled && dense && t.rowsShared && t.patchW == kPooledPatch && t.splits == 1;
}

}  // namespace

bool makesUp(const TensorConvolution& c, Context& cx) {
  return planUp(c, gpu(cx).chip()).has_value();
}

bool formsOnLoad(const TensorConvolution& c, Context& cx) {
  if (c.sourceType != c.operand || c.source[0].channels % 8 != 0 || c.y->shape.size() == 0)
    return false;
  const Chip& chip = gpu(cx).chip();
  const std::optional<TensorTile> t = planTensor(c, chip);
  return t && !t->paired && t->sharedBytes + t->formedBytes() <= chip.sharedPerBlock;
}

bool sumsOnStore(const TensorConvolution& c, Context& cx) {
  if (c.y->dtype != c.operand || c.cout % 8 != 0) return false;
  const std::optional<TensorTile> t = planTensor(c, gpu(cx).chip());
  return t && (t->columns < 8 || t->splits > 1);
}

bool hasTile(const TensorConvolution& c, Context& cx) {
  // Nothing is launched for no positions.
  for (const TensorAxis& a : c.axis)
    if (positionsOf(a) == 0) return true;
  return planTensor(c, gpu(cx).chip()).has_value();
}

bool convolveTensor(const TensorConvolution& c, Context& cx) {
  const Chip& chip = gpu(cx).chip();
  require(c.operand != DType::bf16 || chip.atLeast(80), "InvalidArgument",
          "Precision bf16 needs a GPU of compute capability 8.0; this one has " +
              std::to_string(chip.major) + "." + std::to_string(chip.minor) + " (use fp16)");
  if (c.y->shape.size() == 0) return false;
  for (const TensorAxis& a : c.axis)
    if (positionsOf(a) == 0) return false;
  int64_t voxels = 1;
  for (const TensorAxis& a : c.axis) voxels *= a.in;
  require(voxels <= INT32_MAX && c.samples <= 65535, "ShapeMismatch",
          "A convolution on tensor cores takes fewer than 2^31 voxels a sample and 65536 samples, "
          "not " +
              std::to_string(voxels) + " and " + std::to_string(c.samples));
  const bool up = c.up.weight != nullptr;
  const TensorTile tile = up ? planUp(c, chip).value() : planTensor(c, chip).value();
  TensorPass p{};
  p.tile = tile;
  p.axisD = c.axis[0], p.axisH = c.axis[1], p.axisW = c.axis[2];
  const auto source = [&](const TensorSource& s, const void*& x, const float*& scale,
                          const float*& shift, int& channels, bool& copied, bool& aligned) {
    x = s.data, scale = s.scale, shift = s.shift, channels = s.channels;
    aligned = s.channels % 8 == 0;
    copied = aligned && !s.scale && c.sourceType == c.operand;
  };
  source(c.source[0], p.x, p.scale, p.shift, p.channels, p.copied, p.aligned);
  source(c.source[1], p.second, p.secondScale, p.secondShift, p.secondChannels, p.secondCopied,
         p.secondAligned);
  if (up) {
    source(c.up.source, p.up.x, p.up.scale, p.up.shift, p.up.channels, p.up.copied, p.up.aligned);
    const TransposedWeights weights = packedTransposed(*c.up.weight, c.operand, cx);
    p.up.weight = static_cast<const uint4*>(weights.data);
    p.up.coutUnits = weights.coutUnits;
    p.up.bias = c.up.bias;
  }
  p.stored = storedAs(c.sourceType);
  p.slope = c.slope;
  p.weight = packedWeights(c, tile, cx);
  p.weightRows = (c.cout + tile.blockN() - 1) / tile.blockN() * tile.blockN();
  p.kernelH = static_cast<int>(c.weight->shape()[3]);
  p.kernelW = static_cast<int>(c.weight->shape()[4]);
  p.bias = c.bias;
  p.cout = c.cout;
  p.ySize = c.y->shape.size();
  const int64_t parts = int64_t{tile.tilesD} * tile.tilesH * tile.tilesW * c.axis[0].classes *
                        c.axis[1].classes * c.axis[2].classes;
  p.parts = static_cast<int>(parts);
  p.tiles = static_cast<int>(parts * c.samples);
  const Dim3 grid{static_cast<unsigned>(tile.blocks),
                  static_cast<unsigned>(p.weightRows / tile.blockN()),
                  static_cast<unsigned>(tile.splits)};
  const bool gradient = c.formed.raw || c.below.sums, bf16 = c.operand == DType::bf16;
  const TensorKernel kernel = up ? upKernel(c.operand, tile)
                              : gradient
                                  ? (bf16 ? bf16GradientKernel(tile) : f16GradientKernel(tile))
                              : bf16 ? bf16Kernel(tile)
                                     : f16Kernel(tile);
  p.grad.raw = c.formed.raw;
  p.grad.coefficients = c.formed.coefficients;
  p.grad.plane = int64_t{c.samples} * c.source[0].channels;
  p.grad.slope = c.formed.slope;
  const auto threads = static_cast<unsigned>(tile.threads());
  const unsigned shared = tile.sharedBytes + (c.formed.raw ? tile.formedBytes() : 0);
  if (tile.splits > 1) {
    const Workspace partials(cx, static_cast<size_t>(p.ySize) * tile.splits * sizeof(float));
    p.y = partials.data<void>();
    p.yStored = Stored::f32;
    launch(cx, c.name, grid, threads, shared, kernel, p);
    addSplits(c, partials.data(), tile.splits, cx);
    return false;
  }
  p.y = c.y->data<void>();
  p.yStored = storedAs(c.y->dtype);
  const bool pools = poolsOnStore(c, tile);
  p.poolSign = c.poolSign;
  p.pooled = pools ? c.pooled->data<void>() : nullptr;
  if (c.below.sums) {
    const Workspace table(cx, static_cast<size_t>(c.samples) * c.cout * sizeof(float4));
    makeNormTable("conv3dGradInput/norms", *c.below.statistics, *c.below.gamma, *c.below.beta,
                  table.data<float4>(), cx);
    const Workspace sums(cx, static_cast<size_t>(parts) * c.samples * c.cout * sizeof(float2));
    p.grad.below = c.below.y->data<void>();
    p.grad.table = table.data<float4>();
    p.grad.belowSlope = c.below.slope;
    p.grad.sums = sums.data<float2>();
    launch(cx, c.name, grid, threads, shared, kernel, p);
    mergeGradientSums(c, p.grad.sums, p.parts, cx);
    return false;
  }
  if (!c.sums) {
    launch(cx, c.name, grid, threads, shared, kernel, p);
    return pools;
  }
  const Workspace moments(cx, static_cast<size_t>(parts) * c.samples * c.cout * 2 * sizeof(float));
  const Workspace counts(cx, static_cast<size_t>(parts) * c.samples * sizeof(float));
  p.moments = moments.data();
  p.counts = counts.data();
  launch(cx, c.name, grid, threads, shared, kernel, p);
  mergeMoments("conv3d/statistics", p.moments, p.counts, c.samples, c.cout, p.parts, c.sums, cx);
  return pools;
}

}  // namespace rvx::cuda
