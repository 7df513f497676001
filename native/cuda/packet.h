// Neighbouring values moved by one access: 16 bytes are the widest, and what keeps a memory-bound kernel's instructions few.
#pragma once
#include "cuda/kernel.h"

namespace rvx::cuda {

template <class T, int N>
struct alignas(sizeof(T) * N) Packet {
  static_assert(sizeof(T) * N <= 16, "one access moves at most 16 bytes");
  T value[N];
};

// How many values go into one access where these types pass in step: the widest type fills 16 bytes.
template <class... T>
constexpr int packetLength() {
  size_t widest = 1;
  ((widest = sizeof(T) > widest ? sizeof(T) : widest), ...);
  return static_cast<int>(16 / widest);
}

// p must be aligned to the packet; every tensor's first value is.
template <int N, class T>
RVX_DEVICE Packet<T, N> ldPacket(const T* p) {
  return ld(reinterpret_cast<const Packet<T, N>*>(p));
}
template <int N, class T>
RVX_DEVICE void stPacket(T* p, Packet<T, N> packet) {
  st(reinterpret_cast<Packet<T, N>*>(p), packet);
}

}  // namespace rvx::cuda
