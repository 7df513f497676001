// resampleGrad: dx[n, i, c] = window'(x[n, i, c]) * sum over o of weight(A o - i) * dy[n, o, c].
//
// Work is split by planes (or slabs of planes) of dx: a task adds up what falls into its own planes,
// in the raster order of dy, so that no two tasks write one voxel and the order of every sum is
// fixed. Separable affines: each row of dy is spread along W once for each plane that it touches.
// Others: each task walks the part of dy that its slab can see.
// Bytes: dy is read about twice, dx written once.
#include <algorithm>

#include "core/pool.h"
#include "cpu/axes.h"
#include "math/affine.h"
#include "math/cell.h"
#include "math/window.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kSlab = 8;

struct Sample {
  const float* dy;
  float* dx;
  Int3 out, in;
  int64_t channels;
};

void separable(const Sample& v, const AxisMap& map, const Sampling& s) {
  AxisTaps taps[3];
  for (size_t a = 0; a < 3; ++a)
    taps[a] = axisTaps(v.out[a], v.in[a], map.scale[a], map.shift[a], s.border(), s.box());
  const AxisTaps &td = taps[0], &th = taps[1], &tw = taps[2];
  const int64_t c = v.channels, row = v.in[2] * c, outRow = v.out[2] * c;
  parallelFor(v.in[0], [&](int64_t plane) {
    float* dx = v.dx + plane * v.in[1] * row;
    std::fill_n(dx, v.in[1] * row, 0.0f);
    auto* spread = static_cast<float*>(threadScratch(0, size_t(row) * sizeof(float)));
    for (size_t d = 0; d < size_t(v.out[0]); ++d) {
      const int64_t i = plane - td.first[d];
      if (i < 0 || i >= td.count[d]) continue;
      const float wd = td.weight[size_t(td.offset[d] + i)];
      if (wd == 0) continue;
      for (size_t h = 0; h < size_t(v.out[1]); ++h) {
        const float* dy = v.dy + (int64_t(d) * v.out[1] + int64_t(h)) * outRow;
        std::fill_n(spread, row, 0.0f);
        for (size_t w = 0; w < size_t(v.out[2]); ++w)
          for (int32_t t = 0; t < tw.count[w]; ++t) {
            const float weight = tw.weight[size_t(tw.offset[w] + t)];
            float* target = spread + (tw.first[w] + t) * c;
            for (int64_t k = 0; k < c; ++k) target[k] += weight * dy[int64_t(w) * c + k];
          }
        for (int32_t j = 0; j < th.count[h]; ++j) {
          const float weight = wd * th.weight[size_t(th.offset[h] + j)];
          if (weight == 0) continue;
          float* target = dx + (th.first[h] + j) * row;
          for (int64_t e = tw.from * c; e < tw.to * c; ++e) target[e] += weight * spread[e];
        }
      }
    }
  });
}

// Adds what voxel o of dy gives to the planes [from, to) of dx.
void scatter(const Sample& v, const Real3& p, bool border, bool nearest, int64_t from, int64_t to,
             const float* dy) {
  const int64_t c = v.channels;
  const auto add = [&](int64_t voxel, float weight) {
    float* target = v.dx + voxel * c;
    for (int64_t k = 0; k < c; ++k) target[k] += weight * dy[k];
  };
  if (nearest) {
    int64_t i[3];
    for (size_t a = 0; a < 3; ++a) i[a] = nearestVoxel(p[a], v.in[a], border);
    if (i[0] >= from && i[0] < to && i[1] >= 0 && i[2] >= 0)
      add((i[0] * v.in[1] + i[1]) * v.in[2] + i[2], 1);
    return;
  }
  Cell cell[3];
  for (size_t a = 0; a < 3; ++a) cell[a] = cellAt(p[a], v.in[a], border);
  for (int corner = 0; corner < 8; ++corner) {
    const float weight = cornerWeight(cell, corner);
    const int64_t d = upper(corner, 0) ? cell[0].high : cell[0].low;
    if (weight != 0 && cornerInside(cell, corner) && d >= from && d < to)
      add(cornerVoxel(cell, corner, v.in[1], v.in[2]), weight);
  }
}

void general(const Sample& v, const Affine& m, const Sampling& s) {
  const int64_t c = v.channels, plane = v.in[1] * v.in[2] * c;
  const Real3 step{m[2], m[6], m[10]};
  const bool border = s.border(), nearest = s.nearest();
  parallelFor((v.in[0] + kSlab - 1) / kSlab, [&](int64_t task) {
    const int64_t from = task * kSlab, to = std::min(from + kSlab, v.in[0]);
    std::fill_n(v.dx + from * plane, (to - from) * plane, 0.0f);
    // Positions that can reach the slab; the outermost slabs of a border reach to infinity.
    const double far = 1e18;
    const double low = border && from == 0 ? -far : double(from - 1);
    const double high = border && to == v.in[0] ? far : double(to);
    for (int64_t d = 0; d < v.out[0]; ++d)
      for (int64_t h = 0; h < v.out[1]; ++h) {
        Real3 base;
        for (size_t a = 0; a < 3; ++a) base[a] = rowStart(m.data(), int(a), double(d), double(h));
        int64_t begin = 0, end = v.out[2];
        narrowRange(base[0], step[0], low, high, begin, end);
        for (size_t a = 1; a < 3 && !border; ++a)
          narrowRange(base[a], step[a], -1, double(v.in[a]), begin, end);
        const float* dy = v.dy + (d * v.out[1] + h) * v.out[2] * c;
        for (int64_t o = begin; o < end; ++o) {
          Real3 p;
          for (size_t a = 0; a < 3; ++a) p[a] = base[a] + step[a] * double(o);
          scatter(v, p, border, nearest, from, to, dy + o * c);
        }
      }
  });
}

}  // namespace

template <>
void run(const ResampleGrad& op, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.dy, "dy");
  const int64_t c = s[4];
  Sample v{op.dy.data(), op.dx.data(), {s[1], s[2], s[3]}, op.size, c};
  const int64_t outSize = s[1] * s[2] * s[3] * c, inSize = op.size[0] * op.size[1] * op.size[2] * c;
  for (int64_t n = 0; n < s[0]; ++n, v.dy += outSize, v.dx += inSize) {
    const Affine affine = affineOf(op.map, op.affine, n);
    AxisMap map;
    if (op.sampling.nearest() || !isAxisMap(affine, v.out, &map)) {
      general(v, affine, op.sampling);
    } else if (map.identityOrder()) {
      separable(v, map, op.sampling);
    } else {
      Sample turned = v;
      for (size_t a = 0; a < 3; ++a) turned.out[a] = v.out[size_t(map.order[a])];
      const size_t bytes = size_t(c) * sizeof(float);
      Workspace room(cx, size_t(outSize) * sizeof(float));
      permuteAxes(v.dy, room.data(), turned.out, map.order, bytes);
      turned.dy = room.data();
      separable(turned, map, op.sampling);
    }
  }
  if (!op.x || op.sampling.nearest()) return;
  const Window w = op.sampling.window();
  const float* x = op.x.data();
  float* dx = op.dx.data();
  parallelChunks(op.dx.shape.size(), 1 << 17, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) dx[i] *= windowGradient(x[i], w);
  });
}

}  // namespace rvx::cpu
