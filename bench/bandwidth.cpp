// What memory gives: a child of ceilings.ts. Each line "read N" or "copy N" on stdin is answered with bytes a second (read and written ones both
// count), with N threads that each walk an own part of two arrays of 128 MiB for about 60 ms.
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace {

constexpr size_t kBytes = size_t{128} << 20;
// Small enough that threads that end late are few, large enough for the copy's streaming stores.
constexpr size_t kPart = size_t{4} << 20;
using Clock = std::chrono::steady_clock;
typedef uint64_t Vector __attribute__((vector_size(32)));

uint64_t readPart(const char* from) {
  Vector sum[8] = {};
  for (size_t i = 0; i < kPart; i += sizeof sum)
    for (size_t k = 0; k < 8; k++) sum[k] += *reinterpret_cast<const Vector*>(from + i + k * 32);
  for (size_t k = 1; k < 8; k++) sum[0] += sum[k];
  return sum[0][0] ^ sum[0][1] ^ sum[0][2] ^ sum[0][3];
}

thread_local volatile uint64_t sink;

double rate(bool copy, int threads, const char* from, char* to) {
  std::vector<double> moved(threads);
  std::vector<std::thread> workers;
  const auto begin = Clock::now();
  const auto work = [&](int t) {
    const size_t parts = kBytes / kPart / threads;
    const size_t first = t * parts;
    for (size_t k = 0; std::chrono::duration<double>(Clock::now() - begin).count() < 0.06; k++) {
      const size_t at = (first + k % parts) * kPart;
      if (copy)
        std::memcpy(to + at, from + at, kPart);
      else
        sink = sink + readPart(from + at);
      moved[t] += copy ? 2.0 * kPart : 1.0 * kPart;
    }
  };
  for (int t = 1; t < threads; t++) workers.emplace_back(work, t);
  work(0);
  for (auto& w : workers) w.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  double all = 0;
  for (const double m : moved) all += m;
  return all / seconds;
}

}  // namespace

int main() {
  const std::unique_ptr<char[]> from(new char[kBytes + 64]);
  const std::unique_ptr<char[]> to(new char[kBytes + 64]);
  const auto aligned = [](char* p) { return p + (64 - reinterpret_cast<uintptr_t>(p) % 64); };
  std::memset(from.get(), 1, kBytes + 64);
  std::memset(to.get(), 2, kBytes + 64);
  char what[8];
  int threads = 0;
  while (std::scanf("%7s %d", what, &threads) == 2) {
    if (threads < 1 || threads > 16) return 1;
    std::printf("%.0f\n", rate(what[0] == 'c', threads, aligned(from.get()), aligned(to.get())));
    std::fflush(stdout);
  }
}
