// drawScene: a scene of primitives on a grid (ops/drawing.h).
//
// Work: for each primitive the voxels of its bounding box, widened by what the deformation does
// near it; some 30 FLOPs a voxel, then hashes for texture, once a voxel. Split by slices along D:
// each paints all primitives in their order, so nothing depends on the number of threads.
#include <algorithm>
#include <cmath>
#include <vector>

#include "core/pool.h"
#include "ops/ops.h"

namespace rvx::cpu {
namespace {

constexpr float kAir = -1000;

struct Range {
  int64_t from = 0, to = 0;
};

struct Placed {
  float row[kPrimitiveSize];
  Range range[3];  // voxels along D, H, W that it may touch
  float width;     // mm of its blended edge
};

// A 3x4 affine in float: of index (d, h, w) to mm (x, y, z).
struct Map {
  float m[12];
  float at(int r, float d, float h, float w) const {
    return m[4 * r] * d + m[4 * r + 1] * h + m[4 * r + 2] * w + m[4 * r + 3];
  }
};

class Field {
 public:
  explicit Field(const DrawScene& op) : data_(op.displacement.data()) {
    if (!data_) return;
    for (int i = 0; i < 3; ++i) {
      n_[i] = op.displacement.shape()[2 - i];
      start_[i] = static_cast<float>(op.fieldStart[static_cast<size_t>(i)]);
      rate_[i] = 1.0f / static_cast<float>(op.fieldStep[static_cast<size_t>(i)]);
    }
  }
  explicit operator bool() const { return data_ != nullptr; }

  // u at q (x, y, z in mm).
  void at(const float* q, float* u) const {
    int64_t i[3];
    float f[3];
    for (int k = 0; k < 3; ++k) {
      const float last = static_cast<float>(n_[k] - 1);
      const float c = std::min(std::max((q[k] - start_[k]) * rate_[k], 0.0f), last);
      i[k] = std::min(static_cast<int64_t>(c), std::max<int64_t>(n_[k] - 2, 0));
      f[k] = c - static_cast<float>(i[k]);
    }
    const int64_t dx = n_[0] > 1 ? 3 : 0, dy = n_[1] > 1 ? 3 * n_[0] : 0,
                  dz = n_[2] > 1 ? 3 * n_[0] * n_[1] : 0;
    const float* p = data_ + 3 * ((i[2] * n_[1] + i[1]) * n_[0] + i[0]);
    for (int k = 0; k < 3; ++k, ++p) {
      const float a = lerp(lerp(p[0], p[dx], f[0]), lerp(p[dy], p[dy + dx], f[0]), f[1]);
      const float b =
          lerp(lerp(p[dz], p[dz + dx], f[0]), lerp(p[dz + dy], p[dz + dy + dx], f[0]), f[1]);
      u[k] = lerp(a, b, f[2]);
    }
  }

  // Least and most of u over all points of a box (mm): the extremes of the nodes round it.
  void bounds(const double* low, const double* high, double* least, double* most) const {
    int64_t from[3], to[3];
    for (int k = 0; k < 3; ++k) {
      const auto last = static_cast<double>(n_[k] - 1);
      const double a = (low[k] - start_[k]) * rate_[k], b = (high[k] - start_[k]) * rate_[k];
      from[k] = static_cast<int64_t>(std::min(std::max(std::floor(a), 0.0), last));
      to[k] = static_cast<int64_t>(std::min(std::max(std::ceil(b), 0.0), last));
      least[k] = 1e30, most[k] = -1e30;
    }
    for (int64_t z = from[2]; z <= to[2]; ++z)
      for (int64_t y = from[1]; y <= to[1]; ++y)
        for (int64_t x = from[0]; x <= to[0]; ++x) {
          const float* p = data_ + 3 * ((z * n_[1] + y) * n_[0] + x);
          for (int k = 0; k < 3; ++k) {
            least[k] = std::min<double>(least[k], p[k]);
            most[k] = std::max<double>(most[k], p[k]);
          }
        }
  }

  void extremes(double* least, double* most) const {
    const double low[3] = {-1e9, -1e9, -1e9}, high[3] = {1e9, 1e9, 1e9};
    bounds(low, high, least, most);
  }

 private:
  const float* data_;
  int64_t n_[3] = {1, 1, 1};
  float start_[3] = {0, 0, 0}, rate_[3] = {1, 1, 1};
};

// mm to index, by cofactors.
std::array<double, 12> inverse(const Affine& m) {
  std::array<double, 12> r{};
  const auto at = [&](int i, int j) { return m[static_cast<size_t>(4 * i + j)]; };
  const double det = at(0, 0) * (at(1, 1) * at(2, 2) - at(1, 2) * at(2, 1)) -
                     at(0, 1) * (at(1, 0) * at(2, 2) - at(1, 2) * at(2, 0)) +
                     at(0, 2) * (at(1, 0) * at(2, 1) - at(1, 1) * at(2, 0));
  require(std::isfinite(det) && det != 0, "InvalidArgument", "The affine of drawScene is singular");
  for (int i = 0; i < 3; ++i) {
    double offset = 0;
    for (int j = 0; j < 3; ++j) {
      const int a = (j + 1) % 3, b = (j + 2) % 3, c = (i + 1) % 3, d = (i + 2) % 3;
      const double e = (at(a, c) * at(b, d) - at(a, d) * at(b, c)) / det;
      r[static_cast<size_t>(4 * i + j)] = e;
      offset -= e * at(j, 3);
    }
    r[static_cast<size_t>(4 * i + 3)] = offset;
  }
  return r;
}

// The box in mm in which the primitive may paint a displaced point.
void boxOf(const float* s, double margin, double* low, double* high) {
  if (s[kInvert] != 0) {
    for (int k = 0; k < 3; ++k) low[k] = -1e9, high[k] = 1e9;
    return;
  }
  float reach[3];
  if (s[kKind] == 0) superellipsoidReach(s, reach);
  for (int k = 0; k < 3; ++k) {
    if (s[kKind] == 0) {
      low[k] = s[kCentre + k] - reach[k], high[k] = s[kCentre + k] + reach[k];
    } else {
      const float a = s[kCentre + k], b = s[kAxes + k], r0 = s[kRadii], r1 = s[kRadii + 1];
      low[k] = std::min(a - r0, b - r1), high[k] = std::max(a + r0, b + r1);
    }
    low[k] -= margin, high[k] += margin;
  }
  // A clip along an axis cuts the box; oblique ones are left to the distance.
  for (int k = 0; k < 3; ++k) {
    const double plane = s[kCentre + k] + s[kClipAt] + margin;
    if (s[kClip + k] == 1) high[k] = std::min(high[k], plane);
    if (s[kClip + k] == -1) low[k] = std::max(low[k], s[kCentre + k] - s[kClipAt] - margin);
  }
}

std::vector<Placed> place(const DrawScene& op, const Field& field) {
  const auto toIndex = inverse(op.affine);
  const float* rows = op.primitives.data();
  double leastAll[3] = {0, 0, 0}, mostAll[3] = {0, 0, 0};
  if (field) field.extremes(leastAll, mostAll);
  std::vector<Placed> placed;
  for (int64_t p = 0; p < op.primitives.shape()[0]; ++p) {
    Placed one;
    std::copy_n(rows + p * kPrimitiveSize, kPrimitiveSize, one.row);
    one.width = static_cast<float>(op.voxel) + one.row[kSoftness];
    double low[3], high[3];
    boxOf(one.row, 0.5 * one.width + 0.01, low, high);
    if (field && one.row[kFixed] == 0) {
      // q + u(q) in the box: q lies in the box less the extremes of u there.
      double from[3], to[3], least[3], most[3];
      for (int k = 0; k < 3; ++k) from[k] = low[k] - mostAll[k], to[k] = high[k] - leastAll[k];
      field.bounds(from, to, least, most);
      for (int k = 0; k < 3; ++k) low[k] -= most[k], high[k] -= least[k];
    }
    bool any = true;
    for (int i = 0; i < 3; ++i) {
      double a = toIndex[static_cast<size_t>(4 * i + 3)], b = a;
      for (int k = 0; k < 3; ++k) {
        const double e = toIndex[static_cast<size_t>(4 * i + k)];
        a += std::min(e * low[k], e * high[k]), b += std::max(e * low[k], e * high[k]);
      }
      const auto n = static_cast<double>(op.shape[static_cast<size_t>(i)]);
      one.range[i].from = static_cast<int64_t>(std::min(std::max(std::ceil(a), 0.0), n));
      one.range[i].to = static_cast<int64_t>(std::min(std::max(std::floor(b) + 1, 0.0), n));
      any = any && one.range[i].from < one.range[i].to;
    }
    if (any) placed.push_back(one);
  }
  return placed;
}

// The arrays of one slice, in the scratch of its thread.
struct Slice {
  float *x, *y, *z;      // displaced points, mm
  float *fine, *coarse;  // SD of the textures, HU
  float* distance;       // one row
  uint8_t* tissue;

  static constexpr size_t bytes(size_t area, size_t row) {
    return sizeof(float) * (5 * area + row) + area;
  }
  Slice(size_t area, size_t row) {
    auto* f = static_cast<float*>(threadScratch(0, bytes(area, row)));
    x = f, y = f + area, z = f + 2 * area, fine = f + 3 * area, coarse = f + 4 * area;
    distance = f + 5 * area;
    tissue = reinterpret_cast<uint8_t*>(distance + row);
  }
};

class Painter {
 public:
  Painter(const DrawScene& op, const Field& field, const std::vector<Placed>& placed)
      : op_(op), field_(field), placed_(placed), height_(op.shape[1]), width_(op.shape[2]) {
    for (size_t i = 0; i < 12; ++i) map_.m[i] = static_cast<float>(op.affine[i]);
  }

  void slice(int64_t d) const {
    const int64_t area = height_ * width_;
    float* hu = op_.hu.data() + d * area;
    uint8_t* label = op_.label.data<uint8_t>() + d * area;
    uint8_t* instance = op_.instance.data<uint8_t>() + d * area;
    uint8_t* tissueOut = op_.tissue.data<uint8_t>();
    std::fill_n(hu, area, kAir);
    std::fill_n(label, area, uint8_t{0});
    std::fill_n(instance, area, uint8_t{0});
    if (d < op_.sliceFrom || d >= op_.sliceTo) {
      if (tissueOut) std::fill_n(tissueOut + d * area, area, uint8_t{0});
      return;
    }
    Slice s(static_cast<size_t>(area), static_cast<size_t>(width_));
    std::fill_n(s.fine, 2 * area, 0.0f);
    std::fill_n(s.tissue, area, uint8_t{0});
    locate(d, s);
    for (const Placed& p : placed_) paint(d, p, s, hu, label, instance);
    texture(s, hu, area);
    if (tissueOut) std::copy_n(s.tissue, area, tissueOut + d * area);
  }

 private:
  void locate(int64_t d, Slice& s) const {
    const auto fd = static_cast<float>(d);
    for (int64_t h = 0, i = 0; h < height_; ++h)
      for (int64_t w = 0; w < width_; ++w, ++i) {
        const auto fh = static_cast<float>(h), fw = static_cast<float>(w);
        const float q[3] = {map_.at(0, fd, fh, fw), map_.at(1, fd, fh, fw), map_.at(2, fd, fh, fw)};
        float u[3] = {0, 0, 0};
        if (field_) field_.at(q, u);
        s.x[i] = q[0] + u[0], s.y[i] = q[1] + u[1], s.z[i] = q[2] + u[2];
      }
  }

  void paint(int64_t d, const Placed& p, Slice& s, float* hu, uint8_t* label,
             uint8_t* instance) const {
    if (d < p.range[0].from || d >= p.range[0].to) return;
    const float* row = p.row;
    const float width = p.width, value = row[kHu], fine = row[kFineSd], coarse = row[kCoarseSd];
    const auto over = static_cast<uint32_t>(row[kOver]);
    const auto tissue = static_cast<uint8_t>(row[kTissue]);
    const int newLabel = static_cast<int>(row[kLabel]);
    const int newInstance = static_cast<int>(row[kInstance]);
    const bool fixed = field_ && row[kFixed] != 0, patches = row[kPatchSize] > 0;
    const int64_t from = p.range[2].from, n = p.range[2].to - from;
    for (int64_t h = p.range[1].from; h < p.range[1].to; ++h) {
      const int64_t at = h * width_ + from;
      if (fixed) {
        for (int64_t i = 0; i < n; ++i) {
          const auto fd = static_cast<float>(d), fh = static_cast<float>(h),
                     fw = static_cast<float>(from + i);
          s.distance[i] = primitiveDistance(row, map_.at(0, fd, fh, fw), map_.at(1, fd, fh, fw),
                                            map_.at(2, fd, fh, fw));
        }
      } else {
        distances(row, s.x + at, s.y + at, s.z + at, n, s.distance);
      }
      for (int64_t i = 0; i < n; ++i) {
        float share = coverage(s.distance[i], width);
        if (share <= 0) continue;
        const int64_t v = at + i;
        if (over && !(over >> s.tissue[v] & 1u)) continue;
        float patch = 1;
        if (patches) {
          patch = patchShare(row, s.x[v], s.y[v], s.z[v]);
          if (patch <= 0) continue;
          share *= patch;
        }
        hu[v] += share * (value - hu[v]);
        s.fine[v] += share * (fine - s.fine[v]);
        s.coarse[v] += share * (coarse - s.coarse[v]);
        if (s.distance[i] >= 0 || patch < 0.5f) continue;
        s.tissue[v] = tissue;
        if (newLabel >= 0) label[v] = static_cast<uint8_t>(newLabel);
        if (newInstance >= 0) instance[v] = static_cast<uint8_t>(newInstance);
      }
    }
  }

  // One loop a kind, so that each can be vectorised.
  static void distances(const float* row, const float* x, const float* y, const float* z, int64_t n,
                        float* out) {
    float s[kPrimitiveSize];
    std::copy_n(row, kPrimitiveSize, s);
    const bool clipped = s[kClip] != 0 || s[kClip + 1] != 0 || s[kClip + 2] != 0;
    if (clipped || s[kInvert] != 0 || s[kKind] != 0) {
      if (s[kKind] != 0 && !clipped && s[kInvert] == 0) {
        for (int64_t i = 0; i < n; ++i) out[i] = roundConeDistance(s, x[i], y[i], z[i]);
        return;
      }
      for (int64_t i = 0; i < n; ++i) out[i] = primitiveDistance(s, x[i], y[i], z[i]);
      return;
    }
    for (int64_t i = 0; i < n; ++i) out[i] = superellipsoidDistance(s, x[i], y[i], z[i]);
  }

  void texture(const Slice& s, float* hu, int64_t area) const {
    const auto seed = static_cast<uint32_t>(op_.seed);
    const auto a = static_cast<float>(1 / op_.fineScale),
               b = static_cast<float>(1 / op_.coarseScale);
    for (int64_t i = 0; i < area; ++i) {
      const float x = s.x[i], y = s.y[i], z = s.z[i];
      if (s.fine[i] > 0) hu[i] += s.fine[i] * latticeNoise(x * a, y * a, z * a, seed);
      if (s.coarse[i] > 0) hu[i] += s.coarse[i] * latticeNoise(x * b, y * b, z * b, mix(seed + 1));
    }
  }

  const DrawScene& op_;
  const Field& field_;
  const std::vector<Placed>& placed_;
  const int64_t height_, width_;
  Map map_{};
};

}  // namespace

template <>
void run(const DrawScene& op, Context&) {
  const Field field(op);
  const std::vector<Placed> placed = place(op, field);
  const Painter painter(op, field, placed);
  parallelFor(op.shape[0], [&](int64_t d) { painter.slice(d); });
}

}  // namespace rvx::cpu
