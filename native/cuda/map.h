// y[i] = f(x[i], ...) over tensors of equal size: what elementwise operations have in common.
//
// A thread takes one packet of each tensor (packet.h), so that at full occupancy a multiprocessor has 32 KiB of loads under way,
// more than bandwidth times latency asks for; the thread behind the last whole packet takes the rest value by value.
#pragma once
#include "cuda/launch.h"
#include "cuda/packet.h"

namespace rvx::cuda {

constexpr int kMapThreads = 256;

template <int N, class F, class Y, class... X>
RVX_DEVICE void mapPacket(const F& f, Y* y, Packet<X, N>... x) {
  Packet<Y, N> result;
  RVX_UNROLL
  for (int i = 0; i < N; ++i) result.value[i] = f(x.value[i]...);
  stPacket(y, result);
}

template <class F, class Y, class... X>
RVX_KERNEL(kMapThreads)
map(F f, int64_t count, Y* y, const X*... x) {
  constexpr int kN = packetLength<Y, X...>();
  const int64_t at = int64_t{blockIdx.x} * (kMapThreads * kN) + threadIdx.x * kN;
  if (at + kN <= count)
    mapPacket<kN>(f, y + at, ldPacket<kN>(x + at)...);
  else
    for (int64_t i = at; i < count; ++i) st(y + i, f(ld(x + i)...));
}

// f is a function object that kernels can call: a struct with RVX_DEVICE operator() const that returns Y.
template <class F, class Y, class... X>
void launchMap(Context& cx, const char* name, F f, int64_t count, Y* y, const X*... x) {
  void (*kernel)(F, int64_t, Y*, const X*...) = &map;
  launch(cx, name, blocksFor(count, kMapThreads * packetLength<Y, X...>()), kMapThreads, 0, kernel,
         f, count, y, x...);
}

}  // namespace rvx::cuda
