// Waiting without sleep for what is due in microseconds: to wake a thread that sleeps takes ten of them, fifty and more on
// a virtual machine, of both threads.
#pragma once
#include <chrono>

#include "core/pool.h"

namespace rvx {

inline void pauseProcessor() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Until ready() or so many microseconds are over; at once where the process has one core, which who is waited for needs.
template <class Ready>
void spinUntil(double microseconds, Ready&& ready) {
  if (!severalCores()) return;
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double, std::micro>(microseconds);
  do {
    for (int i = 0; i < 16; ++i) {
      if (ready()) return;
      pauseProcessor();
    }
  } while (Clock::now() < end);
}

}  // namespace rvx
