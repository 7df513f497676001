// resample: y[n, o, c] = sum over the voxels i round A o of weight * window(x[n, i, c]), with the CPU's weights in the CPU's order,
// so with its bits.
//
// Affines without rotation or shear ("rows"): a block takes eight rows of outputs along the input's last axis. Each of its warps
// sums the rows of x that one of them needs (four, or the box's) into shared memory, windowed, four values an access; then every
// output is a few products along that sum. Where axes are exchanged the eight rows are neighbours along the output's last axis,
// so that stores are still whole sectors. Rows whose inputs do not fit into shared memory (more than 1016 values for one output)
// are summed voxel by voxel ("taps"). Other affines ("affine") and nearest neighbours: a thread a value.
// Positions are doubles: three axes of about 10 operations a voxel off the axes, 60 us for 512x512x300 on an H100.
// Least bytes: the rows of x that are touched, once (67 MB of 157 MB for 512x512x300 int16 to 128^3 without the box, 25 us), and one
// write of y; with the box each row of x is asked for about twice, the second time from the caches. FLOPs: about 8 a value summed and 3 a tap.
//
// Limits: linear or nearest, no splines; the box prefilter without rotation or shear alone (checked). D H and W C of the output below 2^31
// (volumeRows.h, checked), W C of x too where it is interpolated (checked), axes as the operation checks; an affine's numbers within
// 10^9 (checked). A sample is a launch of its own, with tables of taps that the host makes and uploads; an affine that is a tensor is read back.
#include "cuda/affines.h"
#include "cuda/packet.h"
#include "cuda/taps.h"
#include "cuda/volumeRows.h"
#include "math/affine.h"
#include "math/cell.h"
#include "math/window.h"
#include "ops/elementType.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kGroup = kRowsOfBlock;  // a warp a row
constexpr int kRoom =
    1016;  // values of a row in shared memory: with a gap of 4 a block has 33 KB at most
constexpr int kAtOnce = 4;  // rows under way in a thread: all of a plain interpolation

struct RowPlan {
  Taps taps[3];  // along the input's axes
  TurnedOutput out;
  int64_t rowsOfPlane = 0, pitch = 0;  // rows of a plane of x, values of a row
  int channels = 1;
  int group = 1;        // the axis along which a block takes kGroup rows
  bool across = false;  // whether that is the output's last axis
  int chunk = 1;        // outputs of a row that a block takes
  unsigned chunks = 1, groups = 1;
  int room = 0;  // values between rows in shared memory
  Window window{};
  float fill = 0;
};

// Values [begin, end) of a row of x that outputs [from, to) read, widened to packets.
template <class A, class B>
RVX_PORTABLE void spanOf(const A& first, const B& last, int channels, int packet, int* begin,
                         int* end) {
  const int low = first.first < last.first ? first.first : last.first;
  const int a = first.first + first.count, b = last.first + last.count;
  *begin = low * channels / packet * packet;
  *end = ((a > b ? a : b) * channels + packet - 1) / packet * packet;
}

template <int V, class T>
RVX_DEVICE void sumRows(const RowPlan& p, const T* x, const Tap& d, const Tap& h, int begin,
                        int end, float* sums) {
  const int rows = d.count * h.count;
  const float *wd = p.taps[0].weight + d.offset, *wh = p.taps[1].weight + h.offset;
  for (int at = begin + static_cast<int>(threadIdx.x % 32) * V; at < end; at += 32 * V) {
    Packet<float, V> sum{};
    for (int t = 0, i = 0, j = 0; t < rows; t += kAtOnce) {
      Packet<T, V> v[kAtOnce];
      float weight[kAtOnce];
      RVX_UNROLL
      for (int u = 0; u < kAtOnce; ++u) {
        weight[u] = t + u < rows ? ld(wd + i) * ld(wh + j) : 0.0f;
        v[u] = Packet<T, V>{};
        if (weight[u] != 0)
          v[u] = ldPacket<V>(x + ((d.first + i) * p.rowsOfPlane + h.first + j) * p.pitch + at);
        if (++j == h.count) j = 0, i = i + 1 < d.count ? i + 1 : i;
      }
      RVX_UNROLL
      for (int u = 0; u < kAtOnce; ++u)
        if (weight[u] != 0) {
          RVX_UNROLL
          for (int q = 0; q < V; ++q)
            sum.value[q] += weight[u] * applyWindow(static_cast<float>(v[u].value[q]), p.window);
        }
    }
    sts(reinterpret_cast<Packet<float, V>*>(sums + at - begin), sum);
  }
}

template <class T, int V>
RVX_KERNEL(kRowThreads)
resampleRows(RowPlan p, const T* x, float* y) {
  const unsigned part = blockIdx.x / p.chunks;
  const int from = static_cast<int>(blockIdx.x % p.chunks) * p.chunk;
  const int to = from + p.chunk < p.out.count[2] ? from + p.chunk : p.out.count[2];
  const int start = static_cast<int>(part % p.groups) * kGroup;
  const int other = static_cast<int>(part / p.groups);
  int begin, end;
  spanOf(ld(p.taps[2].tap + from), ld(p.taps[2].tap + to - 1), p.channels, V, &begin, &end);
  auto* sums = sharedMemory<float>();

  const int own = static_cast<int>(threadIdx.x / 32);
  if (start + own < p.out.count[p.group]) {
    const int d = p.group == 0 ? start + own : other, h = p.group == 0 ? other : start + own;
    sumRows<V>(p, x, ld(p.taps[0].tap + d), ld(p.taps[1].tap + h), begin, end, sums + own * p.room);
  }
  syncBlock();

  const int row = p.across ? static_cast<int>(threadIdx.x) % kGroup : own;
  if (start + row >= p.out.count[p.group]) return;
  const int d = p.group == 0 ? start + row : other, h = p.group == 0 ? other : start + row;
  const float inside =
      p.fill != 0 ? ld(p.taps[0].tap + d).inside * ld(p.taps[1].tap + h).inside : 1.0f;
  const int width = (to - from) * p.channels;
  int e = static_cast<int>(p.across ? threadIdx.x / kGroup : threadIdx.x % 32);
  for (; e < width; e += 32) {
    const int voxel = p.channels == 1 ? e : e / p.channels;
    const int k = e - voxel * p.channels, o = from + voxel;
    const Tap tap = ld(p.taps[2].tap + o);
    const float* weight = p.taps[2].weight + tap.offset;
    const float* sum = sums + row * p.room + tap.first * p.channels + k - begin;
    float v = ld(weight) * lds(sum);
    for (int i = 1; i < tap.count; ++i) v += ld(weight + i) * lds(sum + i * p.channels);
    const float share = p.fill != 0 ? p.fill * (1 - inside * tap.inside) : 0.0f;
    if (share != 0) v += share;
    st(y + (d * p.out.stride[0] + h * p.out.stride[1] + o * p.out.stride[2]) * p.channels + k, v);
  }
}

// Which axis of the output runs along an axis of the input.
struct AxisOrder {
  int axis[3];
  RVX_DEVICE int of(int input, const RowPlace& at) const {
    return axis[input] == 0 ? at.d : axis[input] == 1 ? at.h : at.w;
  }
};

template <class T>
RVX_KERNEL(kRowThreads)
resampleTaps(VolumeRows rows, RowPlan p, AxisOrder order, const T* x, float* y) {
  const RowPlace at = placeIn(rows);
  if (!at.inside) return;
  const Tap d = ld(p.taps[0].tap + order.of(0, at)), h = ld(p.taps[1].tap + order.of(1, at)),
            w = ld(p.taps[2].tap + order.of(2, at));
  float v = 0;
  for (int q = 0; q < w.count; ++q) {
    float sum = 0;
    for (int i = 0; i < d.count; ++i)
      for (int j = 0; j < h.count; ++j) {
        const float weight =
            ld(p.taps[0].weight + d.offset + i) * ld(p.taps[1].weight + h.offset + j);
        if (weight == 0) continue;
        const T stored = ld(x + ((d.first + i) * p.rowsOfPlane + h.first + j) * p.pitch +
                            int64_t{w.first + q} * p.channels + at.k);
        sum += weight * applyWindow(static_cast<float>(stored), p.window);
      }
    v += ld(p.taps[2].weight + w.offset + q) * sum;
  }
  const float share = p.fill != 0 ? p.fill * (1 - d.inside * h.inside * w.inside) : 0.0f;
  if (share != 0) v += share;
  st(y + at.index, v);
}

struct AffinePlan {
  AffineNumbers affine;
  int64_t size[3];  // of the input
  bool border;
};

template <class T>
RVX_KERNEL(kRowThreads)
resampleAffine(VolumeRows rows, AffinePlan p, Window window, float fill, const T* x, float* y) {
  const RowPlace at = placeIn(rows);
  if (!at.inside) return;
  const double* m = p.affine.m;
  Cell cell[3];
  RVX_UNROLL
  for (int a = 0; a < 3; ++a)
    cell[a] = cellAt(rowStart(m, a, at.d, at.h) + m[4 * a + 2] * at.w, p.size[a], p.border);
  const T* own = x + at.k;
  st(y + at.index, trilinear(cell, p.size[1], p.size[2], fill, [&](int64_t voxel) {
       return applyWindow(static_cast<float>(ld(own + voxel * rows.channels)), window);
     }));
}

template <class T>
RVX_KERNEL(kRowThreads)
resampleNearest(VolumeRows rows, AffinePlan p, T fill, const T* x, T* y) {
  const RowPlace at = placeIn(rows);
  if (!at.inside) return;
  const double* m = p.affine.m;
  int64_t i[3];
  RVX_UNROLL
  for (int a = 0; a < 3; ++a)
    i[a] = nearestVoxel(rowStart(m, a, at.d, at.h) + m[4 * a + 2] * at.w, p.size[a], p.border);
  const bool inside = i[0] >= 0 && i[1] >= 0 && i[2] >= 0;
  const int64_t voxel = (i[0] * p.size[1] + i[1]) * p.size[2] + i[2];
  st(y + at.index, inside ? ld(x + voxel * rows.channels + at.k) : fill);
}

struct Sample {
  Int3 in, out;
  int64_t channels;
  const Sampling& sampling;
};

// The plan's chunks: as many outputs as have their inputs in shared memory. False where one output alone has too many.
bool layChunks(RowPlan& p, const AxisTaps& w, int packet) {
  struct Run {
    int first, count;
  };
  const auto run = [&](int64_t o) { return Run{w.first[size_t(o)], w.count[size_t(o)]}; };
  const int64_t outputs = p.out.count[2];
  for (int64_t chunk = outputs;; chunk = (chunk + 1) / 2) {
    int most = 0;
    for (int64_t from = 0; from < outputs; from += chunk) {
      int begin, end;
      spanOf(run(from), run(std::min(from + chunk, outputs) - 1), p.channels, packet, &begin, &end);
      most = std::max(most, end - begin);
    }
    if (most <= kRoom) {
      p.chunk = static_cast<int>(chunk);
      p.chunks = static_cast<unsigned>((outputs + chunk - 1) / chunk);
      // Rows a few banks apart, for reads across them; whole packets.
      p.room = (most + 31) / 32 * 32 + 4;
      return true;
    }
    if (chunk == 1) return false;
  }
}

template <class T>
void sampleRows(const Sample& s, const AxisMap& map, const T* x, float* y, Context& cx) {
  const Sampling& how = s.sampling;
  std::array<AxisTaps, 3> axes;
  std::array<TapTable, 3> tables;
  for (size_t a = 0; a < 3; ++a) {
    axes[a] = axisTaps(s.out[size_t(map.order[a])], s.in[a], map.scale[a], map.shift[a],
                       how.border(), how.box());
    tables[a] = tapTable(axes[a]);
  }
  const DeviceTaps taps(cx, tables);
  RowPlan p{{taps[0], taps[1], taps[2]}, TurnedOutput(map, s.out)};
  p.rowsOfPlane = s.in[1];
  p.pitch = s.in[2] * s.channels;
  p.channels = static_cast<int>(s.channels);
  p.group = map.order[0] == 2 ? 0 : 1;
  p.across = map.order[size_t(p.group)] == 2;
  p.window = how.window();
  p.fill = static_cast<float>(how.fill);
  const bool packets = p.pitch % 4 == 0;
  if (!layChunks(p, axes[2], packets ? 4 : 1)) {
    const VolumeRows rows(s.out, s.channels);
    launch(cx, "resample/taps", rows.blocks(), kRowThreads, 0, &resampleTaps<T>, rows, p,
           AxisOrder{{map.order[0], map.order[1], map.order[2]}}, x, y);
    return;
  }
  p.groups = blocksFor(p.out.count[p.group], kGroup);
  const unsigned blocks = blocksFor(int64_t{p.chunks} * p.groups * p.out.count[1 - p.group], 1);
  const size_t shared = size_t(kGroup) * size_t(p.room) * sizeof(float);
  launch(cx, "resample/rows", blocks, kRowThreads, shared,
         packets ? &resampleRows<T, 4> : &resampleRows<T, 1>, p, x, y);
}

template <class T>
void sample(const Sample& s, const Affine& affine, const T* x, const Resample& op, int64_t n,
            Context& cx) {
  const int64_t outSize = s.out[0] * s.out[1] * s.out[2] * s.channels;
  const AffinePlan plan{AffineNumbers(affine), {s.in[0], s.in[1], s.in[2]}, s.sampling.border()};
  const VolumeRows rows(s.out, s.channels);
  if (s.sampling.nearest()) {
    launch(cx, "resample/nearest", rows.blocks(), kRowThreads, 0, &resampleNearest<T>, rows, plan,
           static_cast<T>(s.sampling.fill), x, op.y.data<T>() + n * outSize);
    return;
  }
  float* y = op.y.data() + n * outSize;
  AxisMap map;
  if (isAxisMap(affine, s.out, &map)) return sampleRows(s, map, x, y, cx);
  require(!s.sampling.box(), "InvalidArgument",
          "The box prefilter takes an affine without rotation or shear");
  launch(cx, "resample/affine", rows.blocks(), kRowThreads, 0, &resampleAffine<T>, rows, plan,
         s.sampling.window(), static_cast<float>(s.sampling.fill), x, y);
}

template <class T>
void resampleAs(const Resample& op, const T* data, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.x, "x");
  require(op.sampling.nearest() || s[3] * s[4] <= INT32_MAX, "ShapeMismatch",
          "Expected rows of fewer than 2^31 values in x to interpolate but received " +
              op.x.shape().text());
  const Sample one{{s[1], s[2], s[3]}, op.size, s[4], op.sampling};
  const std::vector<Affine> affines = affinesOf(op.map, op.affine, s[0], cx);
  for (int64_t n = 0; n < s[0]; ++n)
    sample(one, affines[size_t(n)], data + n * s[1] * s[2] * s[3] * s[4], op, n, cx);
}

}  // namespace

template <>
void run(const Resample& op, Context& cx) {
  withVoxelType(op.x, [&](auto* x) { resampleAs(op, x, cx); });
}

}  // namespace rvx::cuda
