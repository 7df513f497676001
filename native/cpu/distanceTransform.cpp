// distanceTransform: exact anisotropic Euclidean distances in three separable passes.
//
// D2(d,h,w) = min over sites of sw^2 (w-w')^2 + sh^2 (h-h')^2 + sd^2 (d-d')^2: the minimum over w' by
// counting, over h' and d' by lower envelopes (math/envelope.h), about 25 operations a voxel and pass.
// Bytes: 1 read, 8 written and read between the passes, 4 or 8 written. Split: planes, then rows of
// the second pass; every value is made by one task alone, so bits do not depend on threads. Planes and
// columns that hold nothing but sites are zero and are skipped.
#include <algorithm>
#include <atomic>
#include <cmath>

#include "core/pool.h"
#include "cpu/distance_lines.h"
#include "cpu/label_rows.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

// Range [low, high) of w that holds all voxels that are not sites.
struct Span {
  int64_t low, high;
  void widen(int64_t begin, int64_t end) {
    low = std::min(low, begin);
    high = std::max(high, end);
  }
};

// Squared distances inside one plane into out [H, W]; returns where they may not be zero.
template <bool ToForeground, class T>
Span distancesInPlane(const T* plane, int64_t H, int64_t W, const Real3& spacing, double* out) {
  const double stepH = spacing[1] * spacing[1], stepW = spacing[2] * spacing[2];
  Span span{W, 0};
  bool anySite = false;
  for (int64_t h = 0; h < H; ++h) {
    const T* row = plane + h * W;
    double* line = out + h * W;
    const bool foreground = detail::find<false>(row, 0, W) < W;
    const bool background = detail::find<true>(row, 0, W) < W;
    if (!(ToForeground ? foreground : background)) {
      std::fill(line, line + W, kInfinity);
      span.widen(0, W);
      continue;
    }
    anySite = true;
    if (!(ToForeground ? background : foreground)) {
      std::fill(line, line + W, 0.0);
      continue;
    }
    distancesInRow(W, stepW, line, [&](int64_t w) { return (row[w] != 0) == ToForeground; });
    if (ToForeground)
      span.widen(0, W);
    else
      forEachRun(row, W, [&](int64_t b, int64_t e) { span.widen(b, e); });
  }
  if (!anySite) return span;
  ColumnEnvelopes envelopes(H);
  for (int64_t w = span.low; w < span.high; w += kColumns) {
    const int64_t columns = std::min(kColumns, span.high - w);
    envelopes.compute(out + w, W, columns, stepH);
    for (int64_t h = 0; h < H; ++h)
      for (int64_t c = 0; c < columns; ++c) out[h * W + w + c] = envelopes.at(h, c);
  }
  return span;
}

template <bool ToForeground, class T, class Out>
void transform(const T* mask, Out* out, const DistanceTransform& op, Context& cx) {
  const auto [D, H, W] = volumeSize(op.mask.shape(), "mask");
  const int64_t depth = D, height = H, width = W, plane = H * W;
  if (depth * plane == 0) return;
  Workspace space(cx, static_cast<size_t>(depth * plane) * sizeof(double));
  double* squares = space.data<double>();
  Workspace spanSpace(cx, static_cast<size_t>(depth) * sizeof(Span));
  Span* spans = spanSpace.data<Span>();
  parallelFor(depth, [&](int64_t d) {
    spans[d] = distancesInPlane<ToForeground>(mask + d * plane, height, width, op.spacing,
                                              squares + d * plane);
  });
  Span span{width, 0};
  for (int64_t d = 0; d < depth; ++d)
    if (spans[d].low < spans[d].high) span.widen(spans[d].low, spans[d].high);

  const double step = op.spacing[0] * op.spacing[0];
  parallelFor(height, [&](int64_t h) {
    ColumnEnvelopes envelopes(depth);
    const double* from = squares + h * width;
    Out* to = out + h * width;
    const auto zero = [&](int64_t begin, int64_t end) {
      if (begin < end)
        for (int64_t d = 0; d < depth; ++d)
          std::fill(to + d * plane + begin, to + d * plane + end, Out{0});
    };
    zero(0, std::min(span.low, width));
    zero(std::max(span.high, span.low), width);
    for (int64_t w = span.low; w < span.high; w += kColumns) {
      const int64_t columns = std::min(kColumns, span.high - w);
      envelopes.compute(from + w, plane, columns, step);
      for (int64_t d = 0; d < depth; ++d)
        for (int64_t c = 0; c < columns; ++c) {
          const double value = envelopes.at(d, c);
          to[d * plane + w + c] = static_cast<Out>(op.squared ? value : std::sqrt(value));
        }
    }
  });
}

template <class T, class Out>
void transform(const T* mask, Out* out, const DistanceTransform& op, Context& cx) {
  if (op.toForeground)
    transform<true>(mask, out, op, cx);
  else
    transform<false>(mask, out, op, cx);
}

}  // namespace

template <>
void run(const DistanceTransform& op, Context& cx) {
  withLabelType(op.mask, [&](auto* mask) {
    if (op.distance.dtype == DType::f64)
      transform(mask, op.distance.data<double>(), op, cx);
    else
      transform(mask, op.distance.data<float>(), op, cx);
  });
}

}  // namespace rvx::cpu
