// resample: y[n, o, c] = sum over the voxels i round A o of weight * window(x[n, i, c]).
//
// Affines without rotation or shear are separable: for each row of y the (usually four) rows of x
// that it needs are windowed and summed, then the sum is read along W; with the box prefilter more
// rows and more columns take part. Where axes are exchanged the same is done in the input's order of
// axes and the result is turned. Other affines are sampled voxel by voxel.
// Bytes: the rows of x that are touched, once, and one write of y. FLOPs: about 24 a voxel (general).
// Work is split by planes of y.
#include <algorithm>
#include <cstring>

#include "core/pool.h"
#include "cpu/axes.h"
#include "cpu/isa/sampling.h"
#include "math/affine.h"
#include "math/cell.h"
#include "ops/elementType.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kRowsOfTask = 16;

struct Volume {
  Int3 size;
  int64_t channels;
  int64_t row() const { return size[2] * channels; }
};

template <class T>
class Separable {
 public:
  Separable(const T* x, const Volume& in, float* y, const Volume& out, const AxisMap& map,
            const Sampling& s)
      : x_(x), in_(in), y_(y), out_(out), window_(s.window()), fill_(static_cast<float>(s.fill)) {
    for (size_t a = 0; a < 3; ++a)
      taps_[a] = axisTaps(out.size[a], in.size[a], map.scale[a], map.shift[a], s.border(), s.box());
  }

  void run() const {
    const int64_t pieces = (out_.size[1] + kRowsOfTask - 1) / kRowsOfTask;
    parallelFor(out_.size[0] * pieces, [&](int64_t task) {
      const int64_t d = task / pieces, from = task % pieces * kRowsOfTask;
      const int64_t to = std::min(from + kRowsOfTask, out_.size[1]);
      for (int64_t h = from; h < to; ++h) row(size_t(d), size_t(h));
    });
  }

 private:
  void row(size_t d, size_t h) const {
    const AxisTaps &td = taps_[0], &th = taps_[1], &tw = taps_[2];
    const int64_t c = in_.channels, begin = tw.from * c, length = (tw.to - tw.from) * c;
    const size_t most = size_t(td.count[d]) * size_t(th.count[h]);
    auto* rows = static_cast<const T**>(threadScratch(0, most * sizeof(T*)));
    auto* weight = static_cast<float*>(threadScratch(1, most * sizeof(float)));
    auto* sum = static_cast<float*>(threadScratch(2, size_t(in_.row()) * sizeof(float)));
    int64_t used = 0;
    for (int32_t i = 0; i < td.count[d]; ++i)
      for (int32_t j = 0; j < th.count[h]; ++j) {
        const float w = td.weight[size_t(td.offset[d] + i)] * th.weight[size_t(th.offset[h] + j)];
        if (w == 0) continue;
        weight[used] = w;
        rows[used++] = x_ + ((td.first[d] + i) * in_.size[1] + th.first[h] + j) * in_.row() + begin;
      }
    float* target = y_ + (int64_t(d) * out_.size[1] + int64_t(h)) * out_.row();
    if (used == 0) {
      std::fill_n(target, out_.row(), fill_);
      return;
    }
    RVX_ISA_CALL(windowedRows<T>)(rows, weight, used, length, window_, sum + begin);
    along(sum, target);
    if (fill_ == 0) return;
    const float inside = td.inside[d] * th.inside[h];
    for (int64_t w = 0; w < out_.size[2]; ++w) {
      const float share = fill_ * (1 - inside * tw.inside[size_t(w)]);
      if (share != 0)
        for (int64_t k = 0; k < c; ++k) target[w * c + k] += share;
    }
  }

  void along(const float* sum, float* target) const {
    const AxisTaps& t = taps_[2];
    const int64_t c = in_.channels, n = out_.size[2];
    if (t.pairs && c == 1) {
      RVX_ISA_CALL(mixPairs)(sum, t.first.data(), t.weight.data(), n, target);
      return;
    }
    for (size_t o = 0; o < size_t(n); ++o) {
      const float* source = sum + t.first[o] * c;
      const float* weight = t.weight.data() + t.offset[o];
      for (int64_t k = 0; k < c; ++k) {
        float v = weight[0] * source[k];
        for (int32_t i = 1; i < t.count[o]; ++i) v += weight[i] * source[i * c + k];
        target[int64_t(o) * c + k] = v;
      }
    }
  }

  const T* x_;
  Volume in_;
  float* y_;
  Volume out_;
  Window window_;
  float fill_;
  AxisTaps taps_[3];
};

// Trilinear samples of one row of y under any affine; `base` is the position of its first voxel.
template <class T>
void trilinearRow(const T* x, const Volume& in, const Real3& base, const Real3& step, int64_t count,
                  bool border, const Window& window, float fill, float* y) {
  const int64_t c = in.channels, h = in.size[1], w = in.size[2];
  for (int64_t o = 0; o < count; ++o, y += c) {
    const auto at = static_cast<double>(o);
    Cell cell[3];
    for (size_t a = 0; a < 3; ++a) cell[a] = cellAt(base[a] + step[a] * at, in.size[a], border);
    for (int64_t k = 0; k < c; ++k)
      y[k] = trilinear(cell, h, w, fill, [&](int64_t voxel) {
        return applyWindow(static_cast<float>(x[voxel * c + k]), window);
      });
  }
}

template <class T>
void nearestRow(const T* x, const Volume& in, const Real3& base, const Real3& step, int64_t count,
                bool border, T fill, T* y) {
  const int64_t c = in.channels;
  for (int64_t o = 0; o < count; ++o) {
    const auto at = static_cast<double>(o);
    int64_t i[3];
    for (size_t a = 0; a < 3; ++a) i[a] = nearestVoxel(base[a] + step[a] * at, in.size[a], border);
    const bool inside = i[0] >= 0 && i[1] >= 0 && i[2] >= 0;
    const T* voxel = inside ? x + ((i[0] * in.size[1] + i[1]) * in.size[2] + i[2]) * c : nullptr;
    for (int64_t k = 0; k < c; ++k) y[o * c + k] = voxel ? voxel[k] : fill;
  }
}

// Calls body(row of y, position of its first voxel, step) for every row of one sample.
template <class Body>
void eachRow(const Affine& m, const Volume& out, Body&& body) {
  const Real3 step{m[2], m[6], m[10]};
  const int64_t pieces = (out.size[1] + kRowsOfTask - 1) / kRowsOfTask;
  parallelFor(out.size[0] * pieces, [&](int64_t task) {
    const int64_t d = task / pieces, from = task % pieces * kRowsOfTask;
    for (int64_t h = from; h < std::min(from + kRowsOfTask, out.size[1]); ++h) {
      Real3 base;
      for (size_t a = 0; a < 3; ++a) base[a] = rowStart(m.data(), int(a), double(d), double(h));
      body((d * out.size[1] + h) * out.row(), base, step);
    }
  });
}

template <class T>
void sampleTrilinear(const Resample& op, const T* x, const Volume& in, float* y, const Volume& out,
                     const Affine& affine, Context& cx) {
  const Sampling& s = op.sampling;
  AxisMap map;
  if (isAxisMap(affine, op.size, &map)) {
    if (map.identityOrder()) return Separable<T>(x, in, y, out, map, s).run();
    Volume turned = out;
    std::array<int, 3> back{};
    for (size_t a = 0; a < 3; ++a) {
      turned.size[a] = out.size[size_t(map.order[a])];
      back[size_t(map.order[a])] = int(a);
    }
    const size_t bytes = size_t(out.channels) * sizeof(float);
    Workspace room(cx, size_t(out.size[0] * out.size[1] * out.size[2]) * bytes);
    Separable<T>(x, in, room.data(), turned, map, s).run();
    return permuteAxes(room.data(), y, out.size, back, bytes);
  }
  require(!s.box(), "InvalidArgument",
          "The box prefilter takes an affine without rotation or shear");
  const Window window = s.window();
  eachRow(affine, out, [&](int64_t row, const Real3& base, const Real3& step) {
    trilinearRow(x, in, base, step, out.size[2], s.border(), window, static_cast<float>(s.fill),
                 y + row);
  });
}

template <class T>
void resampleAs(const Resample& op, const T* data, Context& cx) {
  const std::array<int64_t, 5> s = volumeAxes(op.x, "x");
  const Volume in{{s[1], s[2], s[3]}, s[4]}, out{op.size, s[4]};
  const int64_t inSize = s[1] * in.size[1] * in.row(),
                outSize = out.size[0] * out.size[1] * out.row();
  for (int64_t n = 0; n < s[0]; ++n) {
    const Affine affine = affineOf(op.map, op.affine, n);
    const T* x = data + n * inSize;
    if (!op.sampling.nearest()) {
      sampleTrilinear(op, x, in, op.y.data() + n * outSize, out, affine, cx);
      continue;
    }
    T* y = op.y.data<T>() + n * outSize;
    eachRow(affine, out, [&](int64_t row, const Real3& base, const Real3& step) {
      nearestRow(x, in, base, step, out.size[2], op.sampling.border(),
                 static_cast<T>(op.sampling.fill), y + row);
    });
  }
}

}  // namespace

template <>
void run(const Resample& op, Context& cx) {
  withVoxelType(op.x, [&](auto* x) { resampleAs(op, x, cx); });
}

}  // namespace rvx::cpu
