// Operations on label maps: components, distances, overlaps.
//
// A label map is [D, H, W], [1, D, H, W] or [1, D, H, W, 1], integers, 0 = background. Raster order
// is the order in memory: d slowest, w fastest.
#pragma once
#include "ops/operation.h"

namespace rvx {

// The spatial size of a label map or image of one sample and one channel.
inline Int3 volumeSize(const Shape& s, const char* what) {
  require(s.rank == 3 || (s.rank == 4 && s[0] == 1) || (s.rank == 5 && s[0] == 1 && s[4] == 1),
          "ShapeMismatch", [&] {
            return std::string("Expected [D,H,W], [1,D,H,W] or [1,D,H,W,1] for tensor ") + what +
                   " but received " + s.text();
          });
  require(s.size() <= INT32_MAX, "ShapeMismatch", [&] {
    return std::string("Expected fewer than 2^31 voxels for tensor ") + what + " but received " +
           s.text();
  });
  const int first = s.rank == 3 ? 0 : 1;
  return {s[first], s[first + 1], s[first + 2]};
}

inline void requireLabels(const Input& x, const char* what) {
  require(x.dtype() == DType::u8 || x.dtype() == DType::i16 || x.dtype() == DType::i32,
          "DtypeMismatch", [&] {
            return std::string("Expected u8, i16 or i32 for tensor ") + what + " but received " +
                   nameOf(x.dtype());
          });
}

// The columns of a component's row in ComponentTable and KidneySides: voxels, lowest d, h, w,
// highest d, h, w (inclusive), raster index of the first voxel. Without voxels: 0, 0,0,0, -1,-1,-1,
// -1.
constexpr int64_t kTableColumns = 8;

// components = 1..count, numbered in raster order of each component's first voxel; 0 stays 0.
// Voxels belong together where they are neighbours (connectivity 6, 18 or 26) and both nonzero, and,
// with perLabel, of the same value. count is [1].
struct ConnectedComponents {
  static constexpr const char* name = "connectedComponents";
  Input labels;
  Output components, count;
  int64_t connectivity = 26;
  bool perLabel = false;

  template <class V>
  void fields(V& v) {
    v(labels, "labels"), v(components, "components"), v(count, "count"),
        v(connectivity, "connectivity"), v(perLabel, "perLabel");
  }
  void infer() {
    requireLabels(labels, "labels");
    volumeSize(labels.shape(), "labels");
    require(connectivity == 6 || connectivity == 18 || connectivity == 26, "InvalidArgument",
            "Expected 6, 18 or 26 for parameter connectivity");
    components.is(labels.shape(), DType::i32);
    count.is({1}, DType::i32);
  }
};

// table [capacity + 1, 8] (columns above): row 0 is the whole foreground, row i the voxels of value
// i. Values above capacity count in row 0 alone.
struct ComponentTable {
  static constexpr const char* name = "componentTable";
  Input components;
  Output table;
  int64_t capacity = 0;

  template <class V>
  void fields(V& v) {
    v(components, "components"), v(table, "table"), v(capacity, "capacity");
  }
  void infer() {
    requireLabels(components, "components");
    volumeSize(components.shape(), "components");
    require(capacity >= 0 && capacity < (1 << 24), "InvalidArgument",
            "Expected 0 to 2^24 - 1 for parameter capacity");
    table.is({capacity + 1, kTableColumns}, DType::i32);
  }
};

// kept = 1 for the largest component, 2 for the next (ties: the lower number first), up to
// `largest` of them, all of at least minimumVoxels; 0 elsewhere. u8 where largest < 256, else i32.
// voxels [largest] holds their sizes, 0 where there is none. `count` is the number of components.
struct KeepComponents {
  static constexpr const char* name = "keepComponents";
  Input components, count;
  // u8: where not 0, a voxel is of the core; components with less of it than `leastShare` of their voxels are dropped.
  OptionalInput core;
  Output kept, voxels;
  int64_t minimumVoxels = 1, largest = 255;
  double leastShare = 0;

  template <class V>
  void fields(V& v) {
    v(components, "components"), v(count, "count"), v(core, "core"), v(kept, "kept"),
        v(voxels, "voxels"), v(minimumVoxels, "minimumVoxels"), v(largest, "largest"),
        v(leastShare, "leastShare");
  }
  void infer() {
    requireType(components, DType::i32, "components");
    requireType(count, DType::i32, "count");
    requireShape(count.shape(), {1}, "count");
    volumeSize(components.shape(), "components");
    if (core) {
      requireType(core, DType::u8, "core");
      requireShape(core.shape(), components.shape(), "core");
    }
    require(largest >= 1, "InvalidArgument", "Expected at least 1 for parameter largest");
    kept.is(components.shape(), largest < 256 ? DType::u8 : DType::i32);
    voxels.is({largest}, DType::i32);
  }
};

// Which kidney each component of a kidney mask belongs to; see kidneySides.cpp for the rule. w
// rises to the patient's left. sides: 1 left, 2 right, 0 neither; table [2, 8] (columns above).
struct KidneySides {
  static constexpr const char* name = "kidneySides";
  Input components, count, image;
  Output sides, table;
  double bodyThreshold = -200;
  int64_t minimumVoxels = 1;
  double splitShare = 0.2, keepShare = 0.1;

  template <class V>
  void fields(V& v) {
    v(components, "components"), v(count, "count"), v(image, "image"), v(sides, "sides"),
        v(table, "table"), v(bodyThreshold, "bodyThreshold"), v(minimumVoxels, "minimumVoxels"),
        v(splitShare, "splitShare"), v(keepShare, "keepShare");
  }
  void infer() {
    requireType(components, DType::i32, "components");
    requireType(count, DType::i32, "count");
    requireShape(count.shape(), {1}, "count");
    require(image.dtype() == DType::f32 || image.dtype() == DType::i16, "DtypeMismatch", [&] {
      return std::string("Expected f32 or i16 for tensor image but received ") +
             nameOf(image.dtype());
    });
    require(volumeSize(components.shape(), "components") == volumeSize(image.shape(), "image"),
            "ShapeMismatch", [&] {
              return "Expected the grid of components " + components.shape().text() +
                     " for tensor image but received " + image.shape().text();
            });
    sides.is(components.shape(), DType::u8);
    table.is({2, kTableColumns}, DType::i32);
  }
};

// counts[i, j] = number of voxels where a is i and b is j, i, j < labels; exact. outside [1]: voxels
// where either is negative or not below `labels`, which counts leaves out.
struct OverlapCounts {
  static constexpr const char* name = "overlapCounts";
  Input a, b;
  Output counts, outside;
  int64_t labels = 2;

  template <class V>
  void fields(V& v) {
    v(a, "a"), v(b, "b"), v(counts, "counts"), v(outside, "outside"), v(labels, "labels");
  }
  void infer() {
    requireLabels(a, "a");
    requireLabels(b, "b");
    require(a.shape().size() == b.shape().size(), "ShapeMismatch", [&] {
      return "Expected shape " + a.shape().text() + " for tensor b but received " +
             b.shape().text();
    });
    require(labels >= 1 && labels <= 256, "InvalidArgument",
            "Expected 1 to 256 for parameter labels");
    counts.is({labels, labels}, DType::f64);
    outside.is({1}, DType::f64);
  }
};

// distance[v] = distance in mm from voxel v's centre to the nearest site's centre, exact; infinite
// where there is no site. Sites are the zero voxels, or, with toForeground, the others (0 at a site).
// What lies outside the volume is no site. Squared distances are formed in double; with squared = true
// they are what is returned.
struct DistanceTransform {
  static constexpr const char* name = "distanceTransform";
  Input mask;
  Output distance;
  Real3 spacing{1, 1, 1};
  bool toForeground = false, squared = false;
  std::string dtype = "f32";

  template <class V>
  void fields(V& v) {
    v(mask, "mask"), v(distance, "distance"), v(spacing, "spacing"),
        v(toForeground, "toForeground"), v(squared, "squared"), v(dtype, "dtype");
  }
  void infer() {
    requireLabels(mask, "mask");
    volumeSize(mask.shape(), "mask");
    const DType type = dtypeFromName(dtype);
    require(type == DType::f32 || type == DType::f64, "InvalidArgument",
            "Expected f32 or f64 for parameter dtype");
    distance.is(mask.shape(), type);
  }
};

// The places of SurfaceDistances' figures in its summary. Behind them come, for each percentile and
// then for each tolerance, the figure from a to b and the one from b to a.
enum SurfaceFigure : int64_t {
  kVoxelsA,
  kVoxelsB,
  kVoxelsBoth,
  kSurfaceA,  // voxels or elements
  kSurfaceB,
  kAreaA,  // of the elements, mm^2; NaN for voxels
  kAreaB,
  kSumAB,  // of distances, mm; of distance times area, mm^3, for elements
  kSumBA,
  kMaximumAB,
  kMaximumBA,
  kSurfaceFigures
};

// Distances in mm between the surfaces of two masks: from the centre of each surface voxel of a to
// the nearest one of b, and the other way. A surface voxel is a foreground voxel with one of its six
// neighbours in the background or outside the volume. `labels` are the values (1..255) that count as
// foreground; none: all but 0. Percentiles are interpolated linearly between order statistics;
// within(tolerance) counts distances <= tolerance. One mask empty: sums, maxima, percentiles are
// infinite, nothing is within a tolerance; both empty: NaN. distancesAB, distancesBA [capacity]: the
// distances in raster order of the surface voxels, NaN behind the last; not made for capacity 0.
//
// surface = "elements": the places are the centres of the cells that the marching-cubes surface passes
// (math/surfaceElements.h), each weighted by its area: sums are of distance times area, within(tolerance)
// is an area, a percentile the first distance at which the share of the area reaches it.
struct SurfaceDistances {
  static constexpr const char* name = "surfaceDistances";
  Input a, b;
  Output summary, distancesAB, distancesBA;
  Real3 spacing{1, 1, 1};
  std::vector<double> labels, percentiles, tolerances;
  int64_t capacity = 0;
  std::string surface = "voxels";

  bool elements() const { return surface == "elements"; }

  template <class V>
  void fields(V& v) {
    v(a, "a"), v(b, "b"), v(summary, "summary"), v(distancesAB, "distancesAB"),
        v(distancesBA, "distancesBA"), v(spacing, "spacing"), v(labels, "labels"),
        v(percentiles, "percentiles"), v(tolerances, "tolerances"), v(capacity, "capacity"),
        v(surface, "surface");
  }
  void infer() {
    requireLabels(a, "a");
    requireLabels(b, "b");
    require(surface == "voxels" || elements(), "InvalidArgument", [&] {
      return "Expected voxels or elements for parameter surface but received " + surface;
    });
    require(volumeSize(a.shape(), "a") == volumeSize(b.shape(), "b"), "ShapeMismatch", [&] {
      return "Expected the grid of a " + a.shape().text() + " for tensor b but received " +
             b.shape().text();
    });
    const auto figures = static_cast<int64_t>(percentiles.size() + tolerances.size());
    summary.is({kSurfaceFigures + 2 * figures}, DType::f64);
    for (Output* o : {&distancesAB, &distancesBA}) {
      o->is({capacity}, DType::f64);
      o->wanted = capacity > 0;
    }
  }
};

// Columns of MeasureLabels: voxels; mean d, h, w; lowest d, h, w; highest d, h, w (inclusive), all in
// voxels; greatest diameter in mm.
constexpr int64_t kMeasures = 11;

// measures [labels, 11] f64 (columns above): row i - 1 is label i. Without voxels: 0 and NaN. The
// greatest (Feret) diameter is the largest distance between the centres of two of the label's voxels.
struct MeasureLabels {
  static constexpr const char* name = "measureLabels";
  Input map;
  Output measures;
  Real3 spacing{1, 1, 1};
  int64_t labels = 1;

  template <class V>
  void fields(V& v) {
    v(map, "map"), v(measures, "measures"), v(spacing, "spacing"), v(labels, "labels");
  }
  void infer() {
    requireLabels(map, "map");
    volumeSize(map.shape(), "map");
    require(labels >= 1 && labels <= 255, "InvalidArgument",
            "Expected 1 to 255 for parameter labels");
    measures.is({labels, kMeasures}, DType::f64);
  }
};

// counts [labels, bins] i32: row i - 1, column k: voxels of label i whose value, rounded to a whole number (halves up), is low + k; the
// first and the last column also count what lies beyond, NaN is counted nowhere. The value is image, or image - minus in float. With
// interior = true a voxel counts only if its six neighbours are of its label. Images are u8, i16, i32 or f32, on the grid of the map.
struct LabelHistograms {
  static constexpr const char* name = "labelHistograms";
  Input map, image;
  OptionalInput minus;
  Output counts;
  int64_t labels = 1, low = -1024, bins = 4096;
  bool interior = false;

  template <class V>
  void fields(V& v) {
    v(map, "map"), v(image, "image"), v(minus, "minus"), v(counts, "counts"), v(labels, "labels"),
        v(low, "low"), v(bins, "bins"), v(interior, "interior");
  }
  void infer() {
    requireLabels(map, "map");
    const Int3 size = volumeSize(map.shape(), "map");
    const auto onGrid = [&](const Input& x, const char* what) {
      if (x.dtype() != DType::f32) requireLabels(x, what);
      require(volumeSize(x.shape(), what) == size, "ShapeMismatch", [&] {
        return "Expected the grid of the map " + map.shape().text() + " for tensor " + what +
               " but received " + x.shape().text();
      });
    };
    onGrid(image, "image");
    if (minus) onGrid(minus, "minus");
    require(labels >= 1 && labels <= 255, "InvalidArgument",
            "Expected 1 to 255 for parameter labels");
    require(bins >= 2 && bins <= 65536, "InvalidArgument",
            "Expected 2 to 65536 for parameter bins");
    require(low >= -1000000 && low <= 1000000, "InvalidArgument",
            "Expected -1000000 to 1000000 for parameter low");
    counts.is({labels, bins}, DType::i32);
  }
};

using LabelOperations =
    OperationList<ConnectedComponents, ComponentTable, KeepComponents, KidneySides, OverlapCounts,
                  DistanceTransform, SurfaceDistances, MeasureLabels, LabelHistograms>;

}  // namespace rvx
