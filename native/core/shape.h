// Shape of a tensor: up to six axes, slowest first. Tensors are always contiguous in row-major
// order.
#pragma once
#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>

#include "core/error.h"

namespace rvx {

struct Shape {
  static constexpr int kMaxRank = 6;
  static constexpr int64_t kMaxSize = int64_t{1} << 48;
  int rank = 0;
  std::array<int64_t, kMaxRank> dim{};

  Shape() = default;
  Shape(std::initializer_list<int64_t> dims) {
    for (int64_t d : dims) push(d);
  }
  void push(int64_t d) {
    require(rank < kMaxRank, "ShapeMismatch", "Expected at most 6 axes");
    dim[static_cast<size_t>(rank++)] = d;
  }
  int64_t operator[](int axis) const {
    return dim[static_cast<size_t>(axis < 0 ? rank + axis : axis)];
  }
  int64_t& operator[](int axis) { return dim[static_cast<size_t>(axis < 0 ? rank + axis : axis)]; }
  // Number of elements. Throws OutOfMemory where it is more than any machine holds, so that sizes
  // derived from it do not overflow.
  int64_t size() const {
    bool empty = false;
    for (int i = 0; i < rank; ++i) {
      if ((*this)[i] < 0)
        throw Error("ShapeMismatch", "Expected no negative axis but received " + text());
      empty |= (*this)[i] == 0;
    }
    int64_t n = empty ? 0 : 1;
    for (int i = 0; i < rank && !empty; ++i)
      if (__builtin_mul_overflow(n, (*this)[i], &n) || n > kMaxSize)
        throw Error("OutOfMemory",
                    "A tensor of shape " + text() + " has more elements than any machine holds");
    return n;
  }
  bool operator==(const Shape& o) const {
    if (rank != o.rank) return false;
    for (int i = 0; i < rank; ++i)
      if ((*this)[i] != o[i]) return false;
    return true;
  }
  bool operator!=(const Shape& o) const { return !(*this == o); }
  std::string text() const {
    std::string s = "[";
    for (int i = 0; i < rank; ++i) s += (i ? "," : "") + std::to_string((*this)[i]);
    return s + "]";
  }
};

}  // namespace rvx
