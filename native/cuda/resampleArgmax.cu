// resampleArgmax: label of each output voxel = argmax over c of the C logits interpolated at A o, by the CPU's formulas in the CPU's
// order, so with its labels. Never a float at the output's size.
//
// A class c > 0 can only win where it exceeds class 0 at one of the eight corners at least (cpu/resampleArgmax.cpp). So a first
// kernel notes, for each row of logits, the range of voxels in which a class exceeds class 0 (a warp a row), the map is filled with
// zeros, and then a warp a row of the output labels what lies between. Affines without rotation or shear: the warp blends the four
// rows of logits once into shared memory, in pieces of 768 values, and each output mixes two neighbours there; exchanged axes are
// strides of the logits. Others: eight corners a voxel, for the voxels that the box of all foreground lets through.
// Least bytes: the logits once and again where there is foreground, one byte a voxel of the output. FLOPs: about 3 a class and voxel labelled
// without rotation, 14 with it.
//
// Limits: one sample, 1 to 256 classes, f32 logits, u8 result: larger labels become 255 (ops/sampling.h). Axes of logits below 2^31. Where a class
// exceeds class 0 in every row, nothing is saved. Of 256 classes a piece is three voxels. Affines that are tensors are read back.
#include "cuda/affines.h"
#include "cuda/launch.h"
#include "cuda/reduce.h"
#include "math/affine.h"
#include "math/axisMap.h"
#include "math/labelling.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / 32;
constexpr int kBlend =
    768;  // values that a warp blends at once: at least two voxels of 256 classes

// The logits' grid, its axes in the output's order.
struct Grid {
  const float* logits;
  const uint8_t* components8;  // one of them at most
  const int32_t* components32;
  int64_t size[3];
  int64_t stride[3];  // in voxels
  int classes;

  RVX_DEVICE int64_t voxel(const Cell (&cell)[3], int corner) const {
    return (upper(corner, 0) ? cell[0].high : cell[0].low) * stride[0] +
           (upper(corner, 1) ? cell[1].high : cell[1].low) * stride[1] +
           (upper(corner, 2) ? cell[2].high : cell[2].low) * stride[2];
  }
};

// From class or component to what is written: the list, then the table.
struct Labels {
  const int32_t* list;
  const uint8_t* table8;
  const int32_t* table32;
  int64_t listed, tabled;
  bool given;

  RVX_DEVICE uint8_t of(int64_t k) const {
    if (given) {
      if (k < listed)
        k = ld(list + k);
      else if (k - listed < tabled)
        k = table8 ? ld(table8 + k - listed) : ld(table32 + k - listed);
      else
        k = 0;
    }
    return static_cast<uint8_t>(k < 0 ? 0 : k > 255 ? 255 : k);
  }
};

struct Target {
  uint8_t* y;
  int64_t rows;
  int rowsOfPlane;
  int64_t length;
};

RVX_DEVICE int64_t rowOfWarp() { return int64_t{blockIdx.x} * kWarps + threadIdx.x / 32; }

// box: lowest and highest voxel of the foreground along each axis; or null.
RVX_KERNEL(kThreads)
foregroundRows(Grid g, int2* ranges, int32_t* box) {
  const int64_t row = rowOfWarp();
  if (row >= g.size[0] * g.size[1]) return;
  const auto d = static_cast<int32_t>(row / g.size[1]), h = static_cast<int32_t>(row % g.size[1]);
  const int32_t length = static_cast<int32_t>(g.size[2]), lane = threadIdx.x % 32;
  int32_t from = length, to = 0;
  for (int32_t i = lane; i < length; i += 32) {
    const float* v = g.logits + (d * g.stride[0] + h * g.stride[1] + i * g.stride[2]) * g.classes;
    const float background = ld(v);
    bool found = false;
    for (int k = 1; k < g.classes; ++k) found = found || ld(v + k) > background;
    if (found) from = from < i ? from : i, to = i + 1;
  }
  from = reduceWarp<Minimum>(from);
  to = reduceWarp<Maximum>(to);
  if (lane != 0) return;
  int2 range;
  range.x = from, range.y = to;
  st(ranges + row, range);
  if (from >= to || !box) return;
  // A look first, old as it may be: most rows change nothing, and atomics on one address stand in line.
  const int32_t low[3] = {d, h, from}, high[3] = {d, h, to - 1};
  RVX_UNROLL
  for (int a = 0; a < 3; ++a) {
    if (low[a] < ld(box + a)) atomicMin(box + a, low[a]);
    if (high[a] > ld(box + 3 + a)) atomicMax(box + 3 + a, high[a]);
  }
}

RVX_DEVICE void paint(const Grid& g, const Labels& labels, int64_t k, const Cell (&cell)[3],
                      uint8_t* voxel) {
  if (k == 0) return;
  if (g.components8 || g.components32)
    k = nearestComponent(cell, [&](int corner) {
      const int64_t at = g.voxel(cell, corner);
      return static_cast<int64_t>(g.components8 ? ld(g.components8 + at) : ld(g.components32 + at));
    });
  const uint8_t label = labels.of(k);
  if (label != 0) st(voxel, label);
}

struct AxisNumbers {
  double scale[3], shift[3];
};

RVX_KERNEL(kThreads)
paintRows(Grid g, AxisNumbers map, Labels labels, Target out, const int2* ranges) {
  const int64_t row = rowOfWarp();
  if (row >= out.rows) return;
  const int lane = threadIdx.x % 32;
  const double pd = map.scale[0] * static_cast<double>(row / out.rowsOfPlane) + map.shift[0];
  const double ph = map.scale[1] * static_cast<double>(row % out.rowsOfPlane) + map.shift[1];
  if (!insideGrid(pd, g.size[0]) || !insideGrid(ph, g.size[1])) return;
  Cell cell[3];
  cell[0] = cellAt(pd, g.size[0], true), cell[1] = cellAt(ph, g.size[1], true);
  const Cell d = cell[0], h = cell[1];

  const auto length = static_cast<int>(g.size[2]);
  int first = length, last = -1;
  const float* rows[4];
  float weight[4];
  RVX_UNROLL
  for (int i = 0; i < 4; ++i) {
    const int64_t a = i & 2 ? d.high : d.low, b = i & 1 ? h.high : h.low;
    rows[i] = g.logits + (a * g.stride[0] + b * g.stride[1]) * g.classes;
    weight[i] = (i & 2 ? d.fraction : 1 - d.fraction) * (i & 1 ? h.fraction : 1 - h.fraction);
    const int2 range = ld(ranges + a * g.size[1] + b);
    if (range.x >= range.y) continue;
    first = first < range.x ? first : range.x;
    last = last > range.y - 1 ? last : range.y - 1;
  }
  // A bench on the simulator runs some blocks of a launch alone, so that ranges may be anything.
  first = first > 0 ? first : 0, last = last < length ? last : length - 1;
  if (last < first) return;

  float* blend = sharedMemory<float>() + threadIdx.x / 32 * kBlend;
  const int c = g.classes, piece = kBlend / c;
  // Cells whose low end lies in [begin, begin + piece - 1): both ends are blended.
  for (int begin = first > 0 ? first - 1 : 0; begin <= last; begin += piece - 1) {
    const int end = begin + piece < length ? begin + piece : length;
    for (int e = lane; e < (end - begin) * c; e += 32) {
      const int64_t at =
          g.stride[2] == 1 ? int64_t{begin} * c + e : (begin + e / c) * g.stride[2] * c + e % c;
      float v = weight[0] * ld(rows[0] + at);
      RVX_UNROLL
      for (int i = 1; i < 4; ++i) v += weight[i] * ld(rows[i] + at);
      sts(blend + e, v);
    }
    syncWarp();
    int64_t from = 0, to = out.length;
    narrowRange(map.shift[2], map.scale[2], begin == 0 ? -1 : begin, end, from, to);
    for (int64_t o = from + lane; o < to; o += 32) {
      const double p = map.scale[2] * static_cast<double>(o) + map.shift[2];
      if (!insideGrid(p, g.size[2])) continue;
      cell[2] = cellAt(p, g.size[2], true);
      if (cell[2].low < begin || cell[2].low >= begin + piece - 1) continue;
      const float* a = blend + (cell[2].low - begin) * c;
      const float* b = blend + (cell[2].high - begin) * c;
      const float wb = cell[2].fraction, wa = 1 - wb;
      const int64_t k =
          greatestClass(c, [&](int64_t i) { return wa * lds(a + i) + wb * lds(b + i); });
      paint(g, labels, k, cell, out.y + row * out.length + o);
    }
    syncWarp();
  }
}

RVX_KERNEL(kThreads)
paintAffine(Grid g, AffineNumbers affine, Labels labels, Target out, const int2* ranges,
            const int32_t* box) {
  const int64_t row = rowOfWarp();
  if (row >= out.rows) return;
  const auto d = static_cast<double>(row / out.rowsOfPlane),
             h = static_cast<double>(row % out.rowsOfPlane);
  double base[3], step[3];
  int64_t from = 0, to = out.length;
  RVX_UNROLL
  for (int a = 0; a < 3; ++a) {
    base[a] = rowStart(affine.m, a, d, h), step[a] = affine.m[4 * a + 2];
    const int32_t low = ld(box + a), high = ld(box + 3 + a);
    if (high < 0) return;
    narrowRange(base[a], step[a], low - 1, high + 1, from, to);
  }
  for (int64_t o = from + threadIdx.x % 32; o < to; o += 32) {
    Cell cell[3];
    bool inside = true;
    RVX_UNROLL
    for (int a = 0; a < 3; ++a) {
      const double p = base[a] + step[a] * static_cast<double>(o);
      inside = inside && insideGrid(p, g.size[a]);
      cell[a] = cellAt(p, g.size[a], true);
    }
    if (!inside) continue;
    bool some = false;
    RVX_UNROLL
    for (int i = 0; i < 4; ++i) {
      const int2 range = ld(ranges + (i & 2 ? cell[0].high : cell[0].low) * g.size[1] +
                            (i & 1 ? cell[1].high : cell[1].low));
      some = some || (range.x <= cell[2].high && range.y > cell[2].low);
    }
    if (!some) continue;
    const float* corners[8];
    float weight[8];
    RVX_UNROLL
    for (int i = 0; i < 8; ++i) {
      corners[i] = g.logits + g.voxel(cell, i) * g.classes;
      weight[i] = cornerWeight(cell, i);
    }
    const int64_t k = greatestClass(g.classes, [&](int64_t c) {
      float v = 0;
      RVX_UNROLL
      for (int i = 0; i < 8; ++i) v += weight[i] * ld(corners[i] + c);
      return v;
    });
    paint(g, labels, k, cell, out.y + row * out.length + o);
  }
}

void label(const Input& logits, const ArgmaxLabels& op, const Int3& out, uint8_t* y, Context& cx) {
  const Shape& s = logits.shape();
  const Affine affine = affinesOf(op.map, op.affine, 1, cx)[0];
  AxisMap map;
  const bool aligned = isAxisMap(affine, out, &map);

  Grid g{};
  g.logits = logits.data();
  if (op.components && op.components.dtype() == DType::u8)
    g.components8 = op.components.data<uint8_t>();
  else
    g.components32 = op.components.data<int32_t>();
  g.classes = static_cast<int>(s[4]);
  AxisNumbers numbers{};
  const int64_t strides[3] = {s[2] * s[3], s[3], 1};
  for (size_t a = 0; a < 3; ++a) {
    const auto o = aligned ? static_cast<size_t>(map.order[a]) : a;
    g.size[o] = s[static_cast<int>(a) + 1];
    g.stride[o] = strides[a];
    numbers.scale[o] = map.scale[a], numbers.shift[o] = map.shift[a];
  }

  std::vector<int32_t> list;
  for (double v : op.labels) list.push_back(static_cast<int32_t>(v));
  const DeviceTable<int32_t> listed(cx, list);
  Labels labels{listed.data(),
                nullptr,
                nullptr,
                static_cast<int64_t>(list.size()),
                0,
                !list.empty() || op.table};
  if (op.table) {
    labels.tabled = op.table.shape().size();
    if (op.table.dtype() == DType::u8)
      labels.table8 = op.table.data<uint8_t>();
    else
      labels.table32 = op.table.data<int32_t>();
  }

  const int64_t rows = g.size[0] * g.size[1];
  const Workspace ranges(cx, static_cast<size_t>(rows) * sizeof(int2));
  const DeviceTable<int32_t> empty(
      cx, std::vector<int32_t>{INT32_MAX, INT32_MAX, INT32_MAX, -1, -1, -1});
  auto* box = const_cast<int32_t*>(empty.data());
  launch(cx, "resampleArgmax/foreground", blocksFor(rows, kWarps), kThreads, 0, &foregroundRows, g,
         ranges.data<int2>(), aligned ? nullptr : box);

  const Target target{y, out[0] * out[1], static_cast<int>(out[1]), out[2]};
  const unsigned blocks = blocksFor(target.rows, kWarps);
  if (aligned)
    launch(cx, "resampleArgmax/rows", blocks, kThreads, kWarps * kBlend * sizeof(float), &paintRows,
           g, numbers, labels, target, ranges.data<int2>());
  else
    launch(cx, "resampleArgmax/affine", blocks, kThreads, 0, &paintAffine, g, AffineNumbers(affine),
           labels, target, ranges.data<int2>(), box);
}

}  // namespace

template <>
void run(const ResampleArgmax& op, Context& cx) {
  gpu(cx).fill(op.y.data<uint8_t>(), 0, static_cast<size_t>(op.y.shape.size()));
  label(op.logits, op.labelling, op.size, op.y.data<uint8_t>(), cx);
}

template <>
void run(const ResampleArgmaxInto& op, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.into.shape(), "into");
  label(op.logits, op.labelling, {s[1], s[2], s[3]}, op.into.data<uint8_t>(), cx);
}

}  // namespace rvx::cuda
