// What the steps of the ladder share: the problem, a vector as wide as the CPU's registers, and the contract that each step fulfils.
#pragma once
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

// y[d][h][w][o] = sum over kd, kh, kw in 0..2 and c of x[d+kd-1][h+kh-1][w+kw-1][c] * weight[o][c][kd][kh][kw], x being 0 outside: a convolution 3x3x3 of
// stride 1, channels last, weights in PyTorch's order. Every step may take it that W is a multiple of 4, Cin of 4 and Cout of 32.
struct Problem {
  int D, H, W, Cin, Cout;
  size_t voxel(int d, int h, int w) const { return (size_t(d) * H + h) * W + w; }
};

// Made once for a weight and not timed: what a network keeps between calls.
std::vector<float> pack(const Problem& p, const float* weight);
// What is timed. Only the last steps look at `threads`.
void convolve(const Problem& p, const float* x, const float* packed, float* y, int threads);

#ifdef __AVX512F__
constexpr int kLanes = 16;
#else
constexpr int kLanes = 8;
#endif
typedef float Vec __attribute__((vector_size(kLanes * 4)));

inline Vec load(const float* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
inline void store(float* p, Vec v) { std::memcpy(p, &v, sizeof v); }
inline Vec fill(float s) { return Vec{} + s; }

// Floats that begin on a cache line.
class Buffer {
 public:
  explicit Buffer(size_t n) : own_(n + 16) {}
  float* data() {
    const auto at = reinterpret_cast<uintptr_t>(own_.data());
    return own_.data() + ((64 - at % 64) % 64) / 4;
  }

 private:
  std::vector<float> own_;
};
