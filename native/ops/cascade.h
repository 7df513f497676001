// Operations that tie the stages of the cascade together without the host: where to crop, and what the findings are on the CT's grid.
#pragma once
#include "ops/operation.h"

namespace rvx {

// The affine [12] (f64, crop index d,h,w -> source index) of a cubic-voxel crop round one row of a component table
// (columns: voxels, lowest d,h,w, highest d,h,w, first; see labels.h). `base` leads from the table's grid to the source; `spacing` is
// the table's grid in mm, `step` the crop's wish in mm, enlarged for all axes alike where the box and `margin` mm on each side
// would not fit into `size`. With mirror the crop's w axis runs the other way.
struct BoxAffine {
  static constexpr const char* name = "boxAffine";
  Input table;
  // Maps the table's grid to the source; without it, `base`.
  OptionalInput through;
  Output affine;
  int64_t row = 0;
  Int3 size{1, 1, 1};
  Real3 spacing{1, 1, 1};
  double step = 1, margin = 0;
  bool mirror = false;
  Affine base{1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0};

  template <class V>
  void fields(V& v) {
    v(table, "table"), v(through, "through"), v(affine, "affine"), v(row, "row"), v(size, "size"),
        v(spacing, "spacing"), v(step, "step"), v(margin, "margin"), v(mirror, "mirror"),
        v(base, "base");
  }
  void infer() {
    requireType(table, DType::i32, "table");
    requireRank(table, 2, "table");
    require(table.shape()[1] == 8 && row >= 0 && row < table.shape()[0], "InvalidArgument",
            [&] { return "Expected a row of the table " + table.shape().text(); });
    if (through) {
      requireType(through, DType::f64, "through");
      requireShape(through.shape(), {12}, "through");
    }
    for (int64_t n : size) require(n >= 1, "InvalidArgument", "Expected a size of at least 1");
    require(step > 0 && margin >= 0, "InvalidArgument", "Expected step > 0 and margin >= 0");
    affine.is({12}, DType::f64);
  }
};

// The instances on the CT's grid, u8 [D,H,W]: 1 left kidney, 2 right kidney, 3.. masses of the left kidney, 3 + capacity.. of the
// right. For each side: logits [1,d,h,w,3] (background, kidney, mass) on its crop, `masses` the crop's kept mass components
// (1..capacity, u8), and the crop's affine (crop index -> CT index, f64 [12]). A CT voxel takes the class with the greatest
// trilinearly interpolated logit (ties: the lower class; outside the crop: background); a mass voxel takes the component that has
// the greatest trilinear weight among its eight neighbours, and is kidney where none of them belongs to a kept component. Where both
// crops claim a voxel, mass goes before kidney, then left before right.
struct ComposeFindings {
  static constexpr const char* name = "composeFindings";
  Input leftLogits, leftMasses, leftAffine, rightLogits, rightMasses, rightAffine;
  Output instances;
  // The box of the CT that is looked at: its first voxel, its voxels.
  Int3 start{0, 0, 0}, size{1, 1, 1};
  int64_t capacity = 16;

  template <class V>
  void fields(V& v) {
    v(leftLogits, "leftLogits"), v(leftMasses, "leftMasses"), v(leftAffine, "leftAffine"),
        v(rightLogits, "rightLogits"), v(rightMasses, "rightMasses"), v(rightAffine, "rightAffine"),
        v(instances, "instances"), v(start, "start"), v(size, "size"), v(capacity, "capacity");
  }
  void infer() {
    for (auto [logits, masses, affine] : {std::tuple{&leftLogits, &leftMasses, &leftAffine},
                                          std::tuple{&rightLogits, &rightMasses, &rightAffine}}) {
      requireType(*logits, DType::f32, "logits");
      requireType(*masses, DType::u8, "masses");
      requireType(*affine, DType::f64, "affine");
      requireRank(*logits, 5, "logits");
      requireShape({logits->shape()[4]}, {3}, "logits (classes)");
      require(masses->shape().size() * 3 == logits->shape().size(), "ShapeMismatch",
              "Expected masses on the grid of the logits");
      requireShape(affine->shape(), {12}, "affine");
    }
    require(capacity >= 1 && 3 + 2 * capacity <= 255, "InvalidArgument",
            "Expected a capacity of 1 to 126");
    instances.is({size[0], size[1], size[2]}, DType::u8);
  }
};

// y = x where x < first, first + classes[x - first] elsewhere: instances become classes.
struct InstanceClasses {
  static constexpr const char* name = "instanceClasses";
  Input x, classes;
  Output y;
  int64_t first = 3;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(classes, "classes"), v(y, "y"), v(first, "first");
  }
  void infer() {
    requireType(x, DType::u8, "x");
    requireType(classes, DType::u8, "classes");
    require(first >= 0 && first + classes.shape().size() <= 256, "InvalidArgument",
            "Expected first + classes within 256");
    y.like(x);
  }
};

using CascadeOperations = OperationList<BoxAffine, ComposeFindings, InstanceClasses>;

}  // namespace rvx
