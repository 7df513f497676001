// acquire and raggedMask (ops/drawing.h): separable Gaussian blurs (blurLines.cu), white noise by hashes, window and mask in the last
// pass (math/acquire.h); the CPU's bits.
// Least bytes a voxel: 8 for each blurred axis, of the image and of the noise; 8 to 13 for the last pass. Noise that is not blurred
// is made in the last pass. FLOPs a voxel: 2 for each tap of each blurred axis, and a hash and some 20 in the last pass: the bytes bound it.
// A thread makes a voxel. Workspace: 8 bytes a voxel where anything is blurred, as raggedMask always does, 12 where the noise is.
//
// Limits: one image of one channel (ops/drawing.h), blurred by SDs of up to 100 voxels (lib/ops/acquire.ts); blurLines.cu's. Noise is
// a hash of the low 32 bits of a voxel's number: it would repeat after 2^32 voxels. Places of raggedMask's outline are floats, whole
// numbers up to 2^24.
#include "cuda/blurLines.h"
#include "cuda/map.h"
#include "ops/acquireTaps.h"
#include "ops/ops.h"

namespace rvx::cuda {
namespace {

constexpr int kThreads = 256;

// Up to three kernels on the device, and the passes with those longer than one.
class Blur {
 public:
  Blur(Context& cx, const std::vector<float>* kernels) : table_(cx, joined(kernels)) {
    for (int axis = 0; axis < 3; ++axis) count_[axis] = static_cast<int64_t>(kernels[axis].size());
  }
  bool any() const { return count_[0] > 1 || count_[1] > 1 || count_[2] > 1; }

  // x [1, D, H, W, ..] blurred; the result lies in x, a or b, which take turns.
  const float* run(Context& cx, const float* x, float* a, float* b, const Shape& s) const {
    const int64_t planes[3] = {1, s[1], s[1] * s[2]}, inner[3] = {s[2] * s[3], s[3], 1};
    const float* taps = table_.data();
    for (int axis = 0; axis < 3; ++axis) {
      if (count_[axis] > 1) {
        blurAlong(cx, x, a, planes[axis], s[axis + 1], inner[axis], taps, count_[axis] / 2);
        x = a;
        std::swap(a, b);
      }
      taps += count_[axis];
    }
    return x;
  }

 private:
  static std::vector<float> joined(const std::vector<float>* kernels) {
    std::vector<float> all;
    for (int axis = 0; axis < 3; ++axis)
      all.insert(all.end(), kernels[axis].begin(), kernels[axis].end());
    return all;
  }
  DeviceTable<float> table_;
  int64_t count_[3];
};

RVX_KERNEL(kThreads) whiteNoise(uint32_t seed, int64_t count, float* y) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < count) st(y + i, normalNoise(static_cast<uint32_t>(i), seed));
}

struct Finish {
  const float *image, *noise;  // noise == nullptr: white noise of `seed`, where scale is not 0
  const uint8_t* mask;
  float scale;
  uint32_t seed;
  DisplayWindow window;
  bool channel;  // the mask is one
};

RVX_KERNEL(kThreads) finish(Finish of, int64_t count, float* y) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  float v = ld(of.image + i);
  if (of.scale > 0)
    v += of.scale * (of.noise ? ld(of.noise + i) : normalNoise(static_cast<uint32_t>(i), of.seed));
  v = of.window(v);
  const bool in = !of.mask || ld(of.mask + i) != 0;
  if (of.channel)
    st(reinterpret_cast<float2*>(y) + i, make_float2(v, in ? 1.0f : 0.0f));
  else
    st(y + i, in ? v : of.window.bottom());
}

struct InRegion {
  int64_t first, last;
  RVX_DEVICE float operator()(uint8_t v) const { return v >= first && v <= last ? 1.0f : 0.0f; }
};

RVX_KERNEL(kThreads)
outline(const float* soft, RaggedOutline of, int64_t count, int64_t height, int64_t width,
        uint8_t* mask) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t row = i / width;
  st(mask + i,
     static_cast<uint8_t>(of.inside(ld(soft + i), row / height, row % height, i - row * width)));
}

}  // namespace

template <>
void run(const Acquire& op, Context& cx) {
  const Shape& s = op.x.shape();
  const int64_t count = s.size();
  if (count == 0) return;
  std::vector<float> kernels[3], noiseKernels[3];
  for (size_t i = 0; i < 3; ++i)
    kernels[i] = kernelOf(op.blur[i]), noiseKernels[i] = kernelOf(op.noiseBlur[i]);
  const Blur blur(cx, kernels), noiseBlur(cx, noiseKernels);
  const bool coloured = op.noise > 0 && noiseBlur.any();
  const size_t bytes = static_cast<size_t>(count) * sizeof(float);
  Workspace a(cx, blur.any() || coloured ? bytes : 0), b(cx, blur.any() || coloured ? bytes : 0);
  Workspace c(cx, coloured ? bytes : 0);
  const auto seed = static_cast<uint32_t>(op.seed);
  Finish last{blur.run(cx, op.x.data(), a.data(), b.data(), s),
              nullptr,
              op.mask.data<uint8_t>(),
              op.noise > 0 ? noiseScale(op.noise, noiseKernels) : 0.0f,
              seed,
              DisplayWindow(op.low, op.high),
              op.y.shape[4] == 2};
  if (coloured) {
    float* spare = last.image == a.data() ? b.data() : a.data();
    launch(cx, "acquire/noise", blocksFor(count, kThreads), kThreads, 0, &whiteNoise, seed, count,
           c.data());
    last.noise = noiseBlur.run(cx, c.data(), spare, c.data(), s);
  }
  launch(cx, "acquire/finish", blocksFor(count, kThreads), kThreads, 0, &finish, last, count,
         op.y.data());
}

template <>
void run(const RaggedMask& op, Context& cx) {
  const Shape& s = op.map.shape();
  const int64_t count = s.size();
  if (count == 0) return;
  const std::vector<float> kernel = kernelOf(op.blur);
  const std::vector<float> kernels[3] = {kernel, kernel, kernel};
  const Blur blur(cx, kernels);
  const size_t bytes = static_cast<size_t>(count) * sizeof(float);
  Workspace a(cx, bytes), b(cx, bytes);
  launchMap(cx, "raggedMask/region", InRegion{op.first, op.last}, count, a.data(),
            op.map.data<uint8_t>());
  const float* soft = blur.run(cx, a.data(), b.data(), a.data(), s);
  launch(cx, "raggedMask/outline", blocksFor(count, kThreads), kThreads, 0, &outline, soft,
         outlineOf(op), count, s[2], s[3], op.mask.data<uint8_t>());
}

}  // namespace rvx::cuda
