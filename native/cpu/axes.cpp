#include "cpu/axes.h"

#include <cstring>

#include "core/pool.h"

namespace rvx::cpu {

Affine affineOf(const OptionalInput& map, const Affine& attribute, int64_t n) {
  Affine a = attribute;
  if (map) {
    const int64_t row = map.shape().rank == 2 ? 12 * n : 0;
    for (int64_t i = 0; i < 12; ++i)
      a[size_t(i)] = map.dtype() == DType::f64 ? map.data<double>()[row + i]
                                               : static_cast<double>(map.data()[row + i]);
  }
  requireNumbers(a);
  return a;
}

namespace {

template <class Copy>
void permute(const char* from, char* to, const Int3& size, const std::array<int, 3>& order,
             size_t bytes, Copy copy) {
  Int3 source;  // extents of `from`
  for (size_t a = 0; a < 3; ++a) source[size_t(order[a])] = size[a];
  const Int3 stride{source[1] * source[2], source[2], 1};
  const auto size8 = static_cast<int64_t>(bytes);
  const int64_t s0 = stride[size_t(order[0])] * size8, s1 = stride[size_t(order[1])] * size8,
                s2 = stride[size_t(order[2])] * size8;
  parallelFor(size[0], [&](int64_t i) {
    for (int64_t j = 0; j < size[1]; ++j) {
      const char* row = from + i * s0 + j * s1;
      char* target = to + (i * size[1] + j) * size[2] * size8;
      for (int64_t k = 0; k < size[2]; ++k) copy(target + k * size8, row + k * s2);
    }
  });
}

}  // namespace

void permuteAxes(const void* from, void* to, const Int3& size, const std::array<int, 3>& order,
                 size_t bytes) {
  const auto* source = static_cast<const char*>(from);
  auto* target = static_cast<char*>(to);
  // Constant sizes become plain moves.
  const auto moves = [](auto constant) {
    return [](char* t, const char* s) { std::memcpy(t, s, decltype(constant)::value); };
  };
  switch (bytes) {
    case 1:
      return permute(source, target, size, order, bytes,
                     moves(std::integral_constant<size_t, 1>{}));
    case 4:
      return permute(source, target, size, order, bytes,
                     moves(std::integral_constant<size_t, 4>{}));
    case 8:
      return permute(source, target, size, order, bytes,
                     moves(std::integral_constant<size_t, 8>{}));
    default:
      return permute(source, target, size, order, bytes,
                     [bytes](char* t, const char* s) { std::memcpy(t, s, bytes); });
  }
}

}  // namespace rvx::cpu
