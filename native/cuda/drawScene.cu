// drawScene: a scene of primitives on a grid (ops/drawing.h, formulas in math/scene.h and math/shapes.h, with the CPU's bits).
//
// First the voxels that each primitive may touch: a block each, whose threads share the nodes of the displacement round it. Then a
// block takes 32 x 8 voxels of a slice, a thread each; the block's threads look at 256 primitives at once and list, in their order,
// those that may touch it, and every thread paints these. All of a voxel's state is in registers.
//
// Some 30 FLOPs for each voxel and primitive listed, then hashes for texture. Least bytes: 6 or 7 written a voxel. The field and the
// primitives come out of the cache; a primitive's row is the same for all threads of a block.
//
// Limits: axes below 2^31 - 256 (checked); a voxel's place is a float, a whole number up to 2^24. Each block looks at all primitives, 256 at
// once, and a voxel's time grows with those that are listed. The whole field's extremes are found by one block.
#include "cuda/launch.h"
#include "cuda/reduce.h"
#include "ops/ops.h"
#include "ops/sceneFrame.h"

namespace rvx::cuda {
namespace {

constexpr int kPlaceThreads = 128;
constexpr int kThreads = 256, kTileWidth = 32, kTileHeight = kThreads / kTileWidth;

struct Placing {
  DisplacementField field;
  double toIndex[12];
  int64_t shape[3];
  float voxel;
};

struct Touched {
  int32_t from[3], to[3];
};

// Least and most of u over nodes from..to (inclusive), by the whole block.
RVX_DEVICE void extremes(const DisplacementField& field, const int64_t* from, const int64_t* to,
                         float* least, float* most) {
  for (int k = 0; k < 3; ++k) least[k] = 1e30f, most[k] = -1e30f;
  const int64_t nx = to[0] - from[0] + 1, ny = to[1] - from[1] + 1;
  const int64_t nodes = nx * ny * (to[2] - from[2] + 1);
  for (int64_t i = threadIdx.x; i < nodes; i += kPlaceThreads) {
    const int64_t x = from[0] + i % nx, y = from[1] + i / nx % ny, z = from[2] + i / nx / ny;
    const float* p = field.data + 3 * ((z * field.n[1] + y) * field.n[0] + x);
    RVX_UNROLL
    for (int k = 0; k < 3; ++k) {
      const float u = ld(p + k);
      least[k] = Minimum()(least[k], u), most[k] = Maximum()(most[k], u);
    }
  }
  auto* scratch = sharedMemory<float>();
  RVX_UNROLL
  for (int k = 0; k < 3; ++k) {
    least[k] = reduceBlock<Minimum>(least[k], 1e30f, scratch);
    most[k] = reduceBlock<Maximum>(most[k], -1e30f, scratch);
  }
}

// out [6]: least and most of u over the whole field. One block.
RVX_KERNEL(kPlaceThreads) fieldExtremes(DisplacementField field, float* out) {
  const int64_t from[3] = {0, 0, 0}, to[3] = {field.n[0] - 1, field.n[1] - 1, field.n[2] - 1};
  float least[3], most[3];
  extremes(field, from, to, least, most);
  if (threadIdx.x != 0) return;
  for (int k = 0; k < 3; ++k) st(out + k, least[k]), st(out + 3 + k, most[k]);
}

RVX_KERNEL(kPlaceThreads)
place(const float* rows, Placing placing, const float* fieldRange, Touched* touched) {
  const float* row = rows + int64_t{blockIdx.x} * kPrimitiveSize;
  const Brush brush(row, placing.voxel);
  double low[3], high[3];
  primitiveBox(row, brush.margin(), low, high);
  if (placing.field.data && !brush.fixed) {
    // q + u(q) in the box: q lies in the box less the extremes of u there.
    double near[3], far[3];
    int64_t from[3], to[3];
    float least[3], most[3];
    for (int k = 0; k < 3; ++k)
      near[k] = low[k] - ld(fieldRange + 3 + k), far[k] = high[k] - ld(fieldRange + k);
    placing.field.nodesRound(near, far, from, to);
    extremes(placing.field, from, to, least, most);
    for (int k = 0; k < 3; ++k) low[k] -= most[k], high[k] -= least[k];
  }
  if (threadIdx.x != 0) return;
  const VoxelRange range = voxelsIn(low, high, placing.toIndex, placing.shape);
  Touched mine;
  for (int i = 0; i < 3; ++i) {
    mine.from[i] = static_cast<int32_t>(range.from[i]);
    mine.to[i] = range.any() ? static_cast<int32_t>(range.to[i]) : mine.from[i];
  }
  for (int i = 0; i < 3; ++i) {
    st(&touched[blockIdx.x].from[i], mine.from[i]);
    st(&touched[blockIdx.x].to[i], mine.to[i]);
  }
}

struct Canvas {
  IndexToMm toMm;
  DisplacementField field;
  Textures textures;
  float voxel;
  int depth, height, width, primitives;
  int64_t sliceFrom, sliceTo;
  float* hu;
  uint8_t *label, *instance, *tissue;  // tissue may be null
};

struct Tile {
  int d, h, w;  // its first voxel
};
RVX_DEVICE bool reaches(const Touched* touched, const Tile& tile) {
  return ld(&touched->from[0]) <= tile.d && ld(&touched->to[0]) > tile.d &&
         ld(&touched->from[1]) < tile.h + kTileHeight && ld(&touched->to[1]) > tile.h &&
         ld(&touched->from[2]) < tile.w + kTileWidth && ld(&touched->to[2]) > tile.w;
}
RVX_DEVICE bool contains(const Touched* touched, int h, int w) {
  return ld(&touched->from[1]) <= h && ld(&touched->to[1]) > h && ld(&touched->from[2]) <= w &&
         ld(&touched->to[2]) > w;
}

// The primitives first..first + 255 that may touch the tile, in their order, to `list`; returns how many. By the whole block;
// `list` and `counts` (8 values) are shared.
RVX_DEVICE int listTouching(const Touched* touched, int first, int primitives, const Tile& tile,
                            int32_t* list, int32_t* counts) {
  const int p = first + static_cast<int>(threadIdx.x);
  const int lane = static_cast<int>(threadIdx.x % 32), warp = static_cast<int>(threadIdx.x / 32);
  const bool hit = p < primitives && reaches(touched + p, tile);
  const uint32_t hits = ballot(hit);
  if (lane == 0) sts(counts + warp, static_cast<int32_t>(popcount(hits)));
  syncBlock();
  int before = 0, all = 0;
  for (int i = 0; i < kThreads / 32; ++i) {
    const int count = lds(counts + i);
    if (i < warp) before += count;
    all += count;
  }
  if (hit) sts(list + before + popcount(hits & ((1u << lane) - 1)), static_cast<int32_t>(p));
  syncBlock();
  return all;
}

RVX_KERNEL(kThreads) paint(const float* rows, const Touched* touched, Canvas canvas) {
  auto* list = sharedMemory<int32_t>();
  auto* counts = sharedMemory<int32_t>(kThreads * sizeof(int32_t));
  const int across = (canvas.width + kTileWidth - 1) / kTileWidth;
  const int down = (canvas.height + kTileHeight - 1) / kTileHeight;
  const int block = static_cast<int>(blockIdx.x);
  const Tile tile{block / across / down, block / across % down * kTileHeight,
                  block % across * kTileWidth};
  const int d = tile.d, h = tile.h + static_cast<int>(threadIdx.x) / kTileWidth;
  const int w = tile.w + static_cast<int>(threadIdx.x) % kTileWidth;
  const bool inside = h < canvas.height && w < canvas.width;
  const bool drawn = d >= canvas.sliceFrom && d < canvas.sliceTo;

  const auto fd = static_cast<float>(d), fh = static_cast<float>(h), fw = static_cast<float>(w);
  const float q[3] = {canvas.toMm.at(0, fd, fh, fw), canvas.toMm.at(1, fd, fh, fw),
                      canvas.toMm.at(2, fd, fh, fw)};
  float u[3] = {0, 0, 0};
  if (canvas.field.data && drawn) canvas.field.at(q, u);
  const float x = q[0] + u[0], y = q[1] + u[1], z = q[2] + u[2];
  float hu = kAir, fine = 0, coarse = 0;
  uint8_t tissue = 0, label = 0, instance = 0;
  const int primitives = drawn ? canvas.primitives : 0;
  for (int first = 0; first < primitives; first += kThreads) {
    const int count = listTouching(touched, first, primitives, tile, list, counts);
    for (int i = 0; i < count && inside; ++i) {
      const int p = lds(list + i);
      if (!contains(touched + p, h, w)) continue;
      const float* row = rows + int64_t{p} * kPrimitiveSize;
      const Brush brush(row, canvas.voxel);
      const bool fixed = canvas.field.data && brush.fixed;
      const float distance =
          primitiveDistance(row, fixed ? q[0] : x, fixed ? q[1] : y, fixed ? q[2] : z);
      paintVoxel(brush, row, distance, x, y, z, hu, fine, coarse, tissue, label, instance);
    }
    syncBlock();
  }
  if (!inside) return;
  const int64_t v = (int64_t{d} * canvas.height + h) * canvas.width + w;
  st(canvas.hu + v, textured(canvas.textures, hu, fine, coarse, x, y, z));
  st(canvas.label + v, label), st(canvas.instance + v, instance);
  if (canvas.tissue) st(canvas.tissue + v, tissue);
}

}  // namespace

template <>
void run(const DrawScene& op, Context& cx) {
  const SceneFrame frame(op);
  const int64_t primitives = op.primitives.shape()[0];
  for (int64_t n : op.shape)
    require(n <= INT32_MAX - kThreads, "ShapeMismatch", "An axis of drawScene is too long");
  Placing placing{frame.field, {}, {}, frame.voxel};
  std::copy(frame.toIndex.begin(), frame.toIndex.end(), placing.toIndex);
  std::copy(op.shape.begin(), op.shape.end(), placing.shape);
  Workspace fieldRange(cx, 6 * sizeof(float));
  Workspace touchedSpace(cx, static_cast<size_t>(primitives) * sizeof(Touched));
  auto* touched = touchedSpace.data<Touched>();
  const size_t scratch = 32 * sizeof(float);
  if (frame.field.data)
    launch(cx, "drawScene/field", 1u, kPlaceThreads, scratch, &fieldExtremes, frame.field,
           fieldRange.data());
  launch(cx, "drawScene/place", blocksFor(primitives, 1), kPlaceThreads, scratch, &place,
         op.primitives.data(), placing, fieldRange.data(), touched);
  const Canvas canvas{frame.toMm,
                      frame.field,
                      frame.textures,
                      frame.voxel,
                      static_cast<int>(op.shape[0]),
                      static_cast<int>(op.shape[1]),
                      static_cast<int>(op.shape[2]),
                      static_cast<int>(primitives),
                      op.sliceFrom,
                      op.sliceTo,
                      op.hu.data(),
                      op.label.data<uint8_t>(),
                      op.instance.data<uint8_t>(),
                      op.tissue.data<uint8_t>()};
  const int64_t across = (op.shape[2] + kTileWidth - 1) / kTileWidth;
  const int64_t down = (op.shape[1] + kTileHeight - 1) / kTileHeight;
  launch(cx, "drawScene/paint", blocksFor(op.shape[0] * down * across, 1), kThreads,
         (kThreads + kThreads / 32) * sizeof(int32_t), &paint, op.primitives.data(), touched,
         canvas);
}

}  // namespace rvx::cuda
