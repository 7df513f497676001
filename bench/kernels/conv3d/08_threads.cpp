// 08: strips on several threads. They share nothing that is written, so the bits do not depend on the number of threads.
#include <atomic>
#include <thread>

#include "winograd_strip.h"

std::vector<float> pack(const Problem& p, const float* weight) { return packStrips(p, weight); }

void convolve(const Problem& p, const float* x, const float* packed, float* y, int threads) {
  std::atomic<int> next{0};
  const auto work = [&] {
    for (int h0; (h0 = 4 * next++) < p.H;) convolveStrip(p, x, packed, y, h0);
  };
  std::vector<std::thread> others;
  for (int t = 1; t < threads; t++) others.emplace_back(work);
  work();
  for (auto& t : others) t.join();
}
