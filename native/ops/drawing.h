// Drawing of phantoms.
#pragma once
#include "math/shapes.h"
#include "ops/operation.h"

namespace rvx {

// Paints primitives (rows of math/shapes.h), one over the other, onto a grid.
//   primitives f32 [P, 40]; displacement f32 [nz, ny, nx, 3] in mm (x, y, z), optional: its node
//   (0,0,0) lies at `fieldStart` mm, nodes are `fieldStep` mm apart (both x, y, z), trilinear
//   between nodes, constant beyond them.
//   hu f32 [1, D, H, W, 1]: -1000 where nothing paints; edges blended over the width of a voxel;
//   texture added. label, instance, tissue u8 [1, D, H, W]: by the voxel's centre.
// A voxel (d, h, w) lies at q = A [d, h, w, 1] mm and sees the primitives at q + displacement(q).
struct DrawScene {
  static constexpr const char* name = "drawScene";
  Input primitives;
  OptionalInput displacement;
  Output hu, label, instance, tissue;
  Int3 shape = {1, 1, 1};
  Affine affine = {};  // index (d, h, w) to mm (x, y, z)
  Real3 fieldStart = {0, 0, 0}, fieldStep = {1, 1, 1};
  double voxel = 1;      // mm, width over which edges are blended
  double fineScale = 4;  // mm, features of the fine texture
  double coarseScale = 12;
  double seed = 0;        // of the textures, 0..2^32-1
  int64_t sliceFrom = 0;  // slices before it, and from sliceTo on, are -1000 HU without labels
  int64_t sliceTo = int64_t{1} << 40;
  bool tissues = false;  // whether `tissue` is made

  template <class V>
  void fields(V& v) {
    v(primitives, "primitives"), v(displacement, "displacement"), v(hu, "hu"), v(label, "label");
    v(instance, "instance"), v(tissue, "tissue"), v(shape, "shape"), v(affine, "affine");
    v(fieldStart, "fieldStart"), v(fieldStep, "fieldStep"), v(voxel, "voxel");
    v(fineScale, "fineScale"), v(coarseScale, "coarseScale"), v(seed, "seed");
    v(sliceFrom, "sliceFrom"), v(sliceTo, "sliceTo"), v(tissues, "tissues");
  }
  void infer() {
    requireType(primitives, DType::f32, "primitives");
    requireRank(primitives, 2, "primitives");
    requireShape(primitives.shape(), {primitives.shape()[0], kPrimitiveSize}, "primitives");
    if (displacement) {
      requireType(displacement, DType::f32, "displacement");
      requireRank(displacement, 4, "displacement");
      require(displacement.shape()[3] == 3, "ShapeMismatch", "Expected 3 components of mm");
    }
    const Shape map{1, shape[0], shape[1], shape[2]};
    hu.is({1, shape[0], shape[1], shape[2], 1});
    label.is(map, DType::u8), instance.is(map, DType::u8), tissue.is(map, DType::u8);
    tissue.wanted = tissues;
  }
};

// What a scanner and a network's input do to a drawn scene:
//   y = window(blur(x, blur) + noise * n), n = white noise of unit variance, itself blurred with
//   `noiseBlur` and scaled back to unit variance; blurs are Gaussian, SD in voxels along D, H, W.
//   window: clip to low..high, scaled to -1..1; low == high leaves HU.
//   mask u8 [1, D, H, W], optional. `outside` true: where it is 0, y is the window's bottom (-1, or
//   `low` where low == high); false: it becomes a second channel, 0 or 1.
struct Acquire {
  static constexpr const char* name = "acquire";
  Input x;  // f32 [1, D, H, W, 1]
  OptionalInput mask;
  Output y;  // f32 [1, D, H, W, 1 or 2]
  Real3 blur = {0, 0, 0}, noiseBlur = {0, 0, 0};
  double noise = 0;  // HU
  double seed = 0;
  double low = 0, high = 0;
  bool outside = false;

  template <class V>
  void fields(V& v) {
    v(x, "x"), v(mask, "mask"), v(y, "y"), v(blur, "blur"), v(noiseBlur, "noiseBlur");
    v(noise, "noise"), v(seed, "seed"), v(low, "low"), v(high, "high"), v(outside, "outside");
  }
  void infer() {
    requireType(x, DType::f32, "x");
    requireRank(x, 5, "x");
    const Shape& s = x.shape();
    require(s[0] == 1 && s[4] == 1, "ShapeMismatch", "Expected one image of one channel");
    if (mask) {
      requireType(mask, DType::u8, "mask");
      requireShape(mask.shape(), {1, s[1], s[2], s[3]}, "mask");
    }
    y.is({1, s[1], s[2], s[3], mask && !outside ? 2 : 1});
  }
};

// The region where `map` lies in first..last, with its outline moved as a person's or a network's
// would be: mask = 1 where the region, blurred by `blur` voxels, exceeds
// 1/2 - 0.38 / blur (shift + ragged n), n = smooth noise of `scale` voxels. 0.38 / blur is close to
// the slope per voxel of a blurred straight edge, so shift and ragged are in voxels (outward
// positive) for amounts up to about `blur`; the level is held within 0.1..0.9. A greater blur rounds what is thin, as a coarse grid
// does.
struct RaggedMask {
  static constexpr const char* name = "raggedMask";
  Input map;    // u8 [1, D, H, W]
  Output mask;  // u8 [1, D, H, W]
  int64_t first = 1, last = 255;
  double shift = 0, ragged = 0, scale = 4, blur = 1, seed = 0;

  template <class V>
  void fields(V& v) {
    v(map, "map"), v(mask, "mask"), v(first, "first"), v(last, "last");
    v(shift, "shift"), v(ragged, "ragged"), v(scale, "scale"), v(blur, "blur");
    v(seed, "seed");
  }
  void infer() {
    requireType(map, DType::u8, "map");
    requireRank(map, 4, "map");
    require(blur > 0 && scale > 0, "InvalidArgument", "Expected blur and scale above 0");
    mask.like(map);
  }
};

using DrawingOperations = OperationList<DrawScene, Acquire, RaggedMask>;

}  // namespace rvx
