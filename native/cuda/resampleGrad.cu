// resampleGrad: dx[n, i, c] = window'(x[n, i, c]) * sum over o of weight(A o - i) * dy[n, o, c], gathered: a thread a value of dx, which
// adds what the outputs o give to it in their raster order. No atomics, and the CPU's bits.
//
// Affines without rotation or shear ("taps"): the tables of taps turned round say which outputs see a voxel, along each axis.
// Others ("affine") and nearest neighbours: the inverse affine says in which box of outputs all lie that fall within a voxel of i
// (or, at a border, beyond it); each of the box is tried. The box has about 4^3 outputs where a voxel's size is kept. An affine without
// a usable inverse has every row of outputs tried: right, but slow.
// Least bytes: dy and x read, dx written once. FLOPs: 2 for each pair of i and o, and about 12 of doubles for each o tried.
//
// Limits: f32; D H and W C of dx below 2^31 (volumeRows.h, checked). A sample is a launch of its own, with tables or an inverse that the host
// makes. At a border the outermost voxels of "affine" try all outputs beyond, so that a few threads work long.
#include "cuda/affines.h"
#include "cuda/taps.h"
#include "cuda/volumeRows.h"
#include "math/affine.h"
#include "math/cell.h"
#include "math/window.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

// What is multiplied to the sum in the end.
struct WindowSlope {
  const float* x;  // or null: 1
  Window window;
  RVX_DEVICE float operator()(float sum, int64_t index) const {
    return x ? sum * windowGradient(ld(x + index), window) : sum;
  }
};

struct TurnedTaps {
  Taps taps[3];  // by voxel of dx: outputs
  TurnedOutput out;
};

RVX_KERNEL(kRowThreads)
gradTaps(VolumeRows rows, TurnedTaps p, WindowSlope slope, const float* dy, float* dx) {
  const RowPlace at = placeIn(rows);
  if (!at.inside) return;
  const Tap d = ld(p.taps[0].tap + at.d), h = ld(p.taps[1].tap + at.h),
            w = ld(p.taps[2].tap + at.w);
  const int64_t stride = p.out.stride[2] * rows.channels;
  float sum = 0;
  for (int i = 0; i < d.count; ++i) {
    const float wd = ld(p.taps[0].weight + d.offset + i);
    if (wd == 0) continue;
    for (int j = 0; j < h.count; ++j) {
      const float weight = wd * ld(p.taps[1].weight + h.offset + j);
      if (weight == 0) continue;
      const float* row = dy + at.k +
                         ((d.first + i) * p.out.stride[0] + (h.first + j) * p.out.stride[1] +
                          w.first * p.out.stride[2]) *
                             rows.channels;
      float along = 0;
      for (int q = 0; q < w.count; ++q)
        along += ld(p.taps[2].weight + w.offset + q) * ld(row + q * stride);
      sum += weight * along;
    }
  }
  st(dx + at.index, slope(sum, at.index));
}

struct GatherPlan {
  AffineNumbers affine, inverse;
  bool bounded;              // whether the inverse says where to look
  double least[3], most[3];  // positions of the outputs along each axis
  int64_t in[3], out[3];
  bool border, nearest;
};

// The part of the weight that a position gives to voxel i along one axis.
RVX_DEVICE float weightAt(double p, int64_t i, int64_t size, bool border) {
  const Cell c = cellAt(p, size, border);
  if (c.lowInside && c.low == i) return 1 - c.fraction;
  return c.highInside && c.high == i ? c.fraction : 0.0f;
}

// kBounded: the inverse says where to look.
template <bool kBounded>
RVX_KERNEL(kRowThreads)
gradAffine(VolumeRows rows, GatherPlan p, WindowSlope slope, const float* dy, float* dx) {
  const RowPlace at = placeIn(rows);
  if (!at.inside) return;
  const int i[3] = {at.d, at.h, at.w};
  double low[3], high[3];  // positions that may reach voxel i
  RVX_UNROLL
  for (int a = 0; a < 3; ++a) {
    low[a] = p.border && i[a] == 0 ? p.least[a] - 1 : i[a] - 1;
    high[a] = p.border && i[a] == p.in[a] - 1 ? p.most[a] + 1 : i[a] + 1;
  }
  int64_t from[3], to[3];
  RVX_UNROLL
  for (int r = 0; r < 3; ++r) {
    from[r] = 0, to[r] = p.out[r];
    if (!kBounded) continue;
    double least = p.inverse.m[4 * r + 3], most = least;
    RVX_UNROLL
    for (int a = 0; a < 3; ++a) {
      const double x = p.inverse.m[4 * r + a] * low[a], y = p.inverse.m[4 * r + a] * high[a];
      least += x < y ? x : y, most += x < y ? y : x;
    }
    // Both positions and bounds are rounded.
    narrowRange(0, 1, least - 1e-3, most + 1e-3, from[r], to[r]);
  }
  const double* m = p.affine.m;
  float sum = 0;
  for (int64_t d = from[0]; d < to[0]; ++d)
    for (int64_t h = from[1]; h < to[1]; ++h) {
      double base[3];
      int64_t begin = from[2], end = to[2];
      RVX_UNROLL
      for (int a = 0; a < 3; ++a) {
        base[a] = rowStart(m, a, static_cast<double>(d), static_cast<double>(h));
        if (!kBounded) narrowRange(base[a], m[4 * a + 2], low[a], high[a], begin, end);
      }
      for (int64_t o = begin; o < end; ++o) {
        float weight = 1;
        RVX_UNROLL
        for (int a = 0; a < 3; ++a) {
          const double position = base[a] + m[4 * a + 2] * static_cast<double>(o);
          if (p.nearest)
            weight *= nearestVoxel(position, p.in[a], p.border) == i[a] ? 1.0f : 0.0f;
          else
            weight *= weightAt(position, i[a], p.in[a], p.border);
        }
        if (weight != 0)
          sum += weight * ld(dy + ((d * p.out[1] + h) * p.out[2] + o) * rows.channels + at.k);
      }
    }
  st(dx + at.index, slope(sum, at.index));
}

GatherPlan gatherPlan(const Affine& affine, const Int3& in, const Int3& out, const Sampling& how) {
  Affine inverse{};
  const bool invertible = invertAffine(affine.data(), inverse.data());
  GatherPlan p{AffineNumbers(affine), AffineNumbers(inverse), false, {}, {}, {}, {},
               how.border(),          how.nearest()};
  double farthest = 0, reach = 0;
  for (size_t a = 0; a < 3; ++a) {
    p.in[a] = in[a], p.out[a] = out[a];
    p.least[a] = p.most[a] = affine[4 * a + 3];
    for (size_t o = 0; o < 3; ++o) {
      const double far = affine[4 * a + o] * static_cast<double>(out[o] - 1);
      p.least[a] += std::min(far, 0.0), p.most[a] += std::max(far, 0.0);
    }
    farthest = std::max({farthest, std::fabs(p.least[a]), std::fabs(p.most[a]),
                         static_cast<double>(in[a]), std::fabs(affine[4 * a + 3])});
    double sum = 0;
    for (size_t c = 0; c < 3; ++c) sum += std::fabs(inverse[4 * a + c]);
    reach = std::max(reach, sum);
  }
  // The inverse's rounding stays far below the margin of gradAffine.
  p.bounded = invertible && farthest * reach * 1e-13 < 1e-4;
  return p;
}

}  // namespace

template <>
void run(const ResampleGrad& op, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.dy, "dy");
  const Int3 out{s[1], s[2], s[3]};
  const int64_t c = s[4];
  const Sampling& how = op.sampling;
  const VolumeRows rows(op.size, c);
  const int64_t outSize = out[0] * out[1] * out[2] * c, inSize = rows.rows * rows.length;
  const std::vector<Affine> affines = affinesOf(op.map, op.affine, s[0], cx);
  for (int64_t n = 0; n < s[0]; ++n) {
    const float* dy = op.dy.data() + n * outSize;
    float* dx = op.dx.data() + n * inSize;
    const bool sloped = op.x && !how.nearest();
    const WindowSlope slope{sloped ? op.x.data() + n * inSize : nullptr, how.window()};
    const Affine& affine = affines[size_t(n)];
    AxisMap map;
    if (how.nearest() || !isAxisMap(affine, out, &map)) {
      const GatherPlan plan = gatherPlan(affine, op.size, out, how);
      launch(cx, "resampleGrad/affine", rows.blocks(), kRowThreads, 0,
             plan.bounded ? &gradAffine<true> : &gradAffine<false>, rows, plan, slope, dy, dx);
      continue;
    }
    std::array<TapTable, 3> tables;
    for (size_t a = 0; a < 3; ++a)
      tables[a] = turnedTable(axisTaps(out[size_t(map.order[a])], op.size[a], map.scale[a],
                                       map.shift[a], how.border(), how.box()),
                              op.size[a]);
    const DeviceTaps taps(cx, tables);
    launch(cx, "resampleGrad/taps", rows.blocks(), kRowThreads, 0, &gradTaps, rows,
           TurnedTaps{{taps[0], taps[1], taps[2]}, TurnedOutput(map, out)}, slope, dy, dx);
  }
}

}  // namespace rvx::cuda
