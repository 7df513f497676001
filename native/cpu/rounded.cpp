#include "cpu/rounded.h"

#include <algorithm>

#include "core/pool.h"
#include "math/convert.h"

namespace rvx::cpu {
namespace {

constexpr int64_t kGrain = 1 << 15;

// Calls body with a null pointer to the type that stores `type`, f32, bf16 or f16.
template <class Body>
void withFloat(DType type, Body&& body) {
  if (type == DType::f32) return body(static_cast<float*>(nullptr));
  if (type == DType::bf16) return body(static_cast<Bf16*>(nullptr));
  body(static_cast<F16*>(nullptr));
}

template <class T>
float rounded(float x) {
  T narrow;
  store(x, &narrow);
  return load(narrow);
}

}  // namespace

Rounded::Rounded(const Input& x, DType operand, Context& cx, const float* scale, const float* shift,
                 float slope, bool always) {
  if (operand == DType::f32 && !always) scale = shift = nullptr;
  if (x.dtype() == DType::f32 && operand == DType::f32 && !scale) {
    data_ = x.data();
    return;
  }
  const int64_t size = x.shape().size(), channels = x.shape()[-1];
  const int64_t voxels = size / std::max<int64_t>(x.shape()[0] * channels, 1);
  memory_ = std::make_unique<Workspace>(cx, static_cast<size_t>(size) * sizeof(float));
  auto* to = memory_->data<float>();
  data_ = to;
  withFloat(x.dtype(), [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    withFloat(operand, [&](auto* narrow) {
      using Operand = std::remove_pointer_t<decltype(narrow)>;
      const Stored* from = x.data<Stored>();
      if (!scale) {
        parallelChunks(size, kGrain, [=](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) to[i] = rounded<Operand>(load(from[i]));
        });
        return;
      }
      const int64_t grain = std::max<int64_t>(1, kGrain / std::max<int64_t>(1, channels));
      parallelChunks(x.shape()[0] * voxels, grain, [=](int64_t begin, int64_t end) {
        for (int64_t v = begin; v < end; ++v) {
          const float *a = scale + v / voxels * channels, *b = shift + v / voxels * channels;
          const Stored* row = from + v * channels;
          float* out = to + v * channels;
          for (int64_t c = 0; c < channels; ++c)
            out[c] = rounded<Operand>(leakyRelu(load(row[c]) * a[c] + b[c], slope));
        }
      });
    });
  });
}

RoundedResult::RoundedResult(const Output& y, Context& cx) : y_(y) {
  if (y.dtype == DType::f32) {
    data_ = y.data();
    return;
  }
  memory_ = std::make_unique<Workspace>(cx, static_cast<size_t>(y.shape.size()) * sizeof(float));
  data_ = memory_->data<float>();
}

void RoundedResult::finish() {
  if (!memory_) return;
  withFloat(y_.dtype, [&](auto* stored) {
    using Stored = std::remove_pointer_t<decltype(stored)>;
    auto* to = y_.data<Stored>();
    parallelChunks(y_.shape.size(), kGrain, [to, from = data_](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) store(from[i], to + i);
    });
  });
}

}  // namespace rvx::cpu
