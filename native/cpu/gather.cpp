// The gather of convolution.h: axes of convolutions and their gradients, and the loop over them.
#include <algorithm>

#include "core/pool.h"
#include "cpu/convolution.h"
#include "math/activation.h"

namespace rvx::cpu {
namespace {

int64_t floorDivide(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }

}  // namespace

GatherAxis convolutionAxis(int64_t outputs, int64_t kernel, int64_t stride, int64_t padding,
                           int64_t dilation) {
  GatherAxis axis;
  axis.outputs = outputs;
  axis.step = stride;
  for (int64_t k = 0; k < kernel; ++k) {
    axis.offset.push_back(k * dilation - padding);
    axis.kernel.push_back(k);
  }
  return axis;
}

GatherAxis gradientAxis(int64_t size, int64_t kernel, int64_t stride, int64_t padding,
                        int64_t dilation, int64_t rest) {
  GatherAxis axis;
  axis.outputs = rest < size ? (size - rest + stride - 1) / stride : 0;
  axis.start = rest;
  axis.spread = stride;
  for (int64_t k = 0; k < kernel; ++k) {
    // x[i] reached y[o] where i = o*stride - padding + k*dilation.
    const int64_t reach = rest + padding - k * dilation;
    const int64_t o = floorDivide(reach, stride);
    if (o * stride != reach) continue;
    axis.offset.push_back(o);
    axis.kernel.push_back(k);
  }
  return axis;
}

void runGather(const Gather& g, Context& cx) {
  const int64_t cin = g.cin(), cout = g.cout;
  const auto &ad = g.axes[0], &ah = g.axes[1], &aw = g.axes[2];
  const auto taps = ad.offset.size() * ah.offset.size() * aw.offset.size();
  Workspace packed(cx, std::max<size_t>(1, taps * size_t(cin * cout)) * sizeof(float));
  float* w = packed.data();
  for (int64_t kd : ad.kernel)
    for (int64_t kh : ah.kernel)
      for (int64_t kw : aw.kernel)
        for (int64_t ci = 0; ci < cin; ++ci)
          for (int64_t co = 0; co < cout; ++co)
            *w++ = g.weight[co * g.weightCo + ci * g.weightCi +
                            (kd * g.kernel[1] + kh) * g.kernel[2] + kw];

  parallelFor(g.samples * ad.outputs * ah.outputs, [&](int64_t task) {
    const int64_t n = task / (ad.outputs * ah.outputs);
    const int64_t d = task / ah.outputs % ad.outputs, h = task % ah.outputs;
    const int64_t row =
        (n * g.outSize[0] + ad.start + d * ad.spread) * g.outSize[1] + ah.start + h * ah.spread;
    for (int64_t j = 0; j < aw.outputs; ++j) {
      float* y = g.y + (row * g.outSize[2] + aw.start + j * aw.spread) * cout;
      for (int64_t co = 0; co < cout; ++co) y[co] = g.bias ? g.bias[co] : 0;
      const float* tap = packed.data();
      for (int64_t od : ad.offset)
        for (int64_t oh : ah.offset)
          for (int64_t ow : aw.offset) {
            const int64_t zd = d * ad.step + od, zh = h * ah.step + oh, zw = j * aw.step + ow;
            if (zd < 0 || zd >= g.inSize[0] || zh < 0 || zh >= g.inSize[1] || zw < 0 ||
                zw >= g.inSize[2]) {
              tap += cin * cout;
              continue;
            }
            for (const GatherSource& s : g.sources) {
              const float* x =
                  s.x +
                  (((n * g.inSize[0] + zd) * g.inSize[1] + zh) * g.inSize[2] + zw) * s.channels;
              for (int64_t ci = 0; ci < s.channels; ++ci, tap += cout) {
                float v = x[ci];
                if (s.scale)
                  v = leakyRelu(v * s.scale[n * s.channels + ci] + s.shift[n * s.channels + ci],
                                g.slope);
                for (int64_t co = 0; co < cout; ++co) y[co] += v * tap[co];
              }
            }
          }
    }
  });
}

}  // namespace rvx::cpu
