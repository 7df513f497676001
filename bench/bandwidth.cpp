// What memory gives: a child of ceilings.ts. Each line "read N" or "copy N" on stdin is answered with bytes a second that passed and a second of processor time of all
// threads (read and written ones both count), with N threads that each walk an own part of arrays of 128 MiB for about 60 ms. As the library's memory the arrays lie
// in large pages where the system has them; four places are walked at once, since one is not enough to keep all prefetchers busy, and copies bypass the caches:
// without these three a kernel can be faster than its ceiling.
#include <sys/mman.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <thread>
#include <vector>
#ifdef __AVX__
#include <immintrin.h>
#endif

namespace {

constexpr size_t kBytes = size_t{128} << 20;
constexpr size_t kStreams = 4;
// Of each stream between two looks at the clock.
constexpr size_t kSlice = size_t{1} << 20;
using Clock = std::chrono::steady_clock;
#if defined(__AVX512F__)
typedef __m512i Line;
Line at(const char* p) { return _mm512_load_si512(p); }
void stream(char* p, Line v) { _mm512_stream_si512(reinterpret_cast<Line*>(p), v); }
#elif defined(__AVX__)
typedef __m256i Line;
Line at(const char* p) { return _mm256_load_si256(reinterpret_cast<const Line*>(p)); }
void stream(char* p, Line v) { _mm256_stream_si256(reinterpret_cast<Line*>(p), v); }
#else
typedef uint64_t Line;
Line at(const char* p) { return *reinterpret_cast<const Line*>(p); }
void stream(char* p, Line v) { *reinterpret_cast<Line*>(p) = v; }
#endif

thread_local volatile char sink;

void readSlices(const char* from, size_t apart) {
  Line all[kStreams] = {};
  for (size_t i = 0; i < kSlice; i += 128)
    for (size_t s = 0; s < kStreams; s++)
      for (size_t k = 0; k < 128; k += sizeof(Line)) all[s] ^= at(from + s * apart + i + k);
  char bytes[sizeof all];
  std::memcpy(bytes, all, sizeof all);
  char folded = 0;
  for (const char b : bytes) folded ^= b;
  sink = folded;
}

void copySlices(const char* from, char* to, size_t apart) {
  for (size_t i = 0; i < kSlice; i += 128)
    for (size_t s = 0; s < kStreams; s++)
      for (size_t k = 0; k < 128; k += sizeof(Line))
        stream(to + s * apart + i + k, at(from + s * apart + i + k));
}

double cpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

void measure(bool copy, int threads, const char* from, char* to) {
  std::vector<double> moved(threads);
  std::vector<std::thread> workers;
  const double before = cpuSeconds();
  const auto begin = Clock::now();
  const auto seconds = [&] { return std::chrono::duration<double>(Clock::now() - begin).count(); };
  const auto work = [&](int t) {
    const size_t apart = kBytes / threads / kStreams / kSlice * kSlice;
    for (size_t k = 0; seconds() < 0.06; k++) {
      const size_t first = t * kStreams * apart + k % (apart / kSlice) * kSlice;
      if (copy)
        copySlices(from + first, to + first, apart);
      else
        readSlices(from + first, apart);
      moved[t] += (copy ? 2.0 : 1.0) * kStreams * kSlice;
    }
  };
  for (int t = 1; t < threads; t++) workers.emplace_back(work, t);
  work(0);
  for (auto& w : workers) w.join();
  double all = 0;
  for (const double m : moved) all += m;
  std::printf("%.0f %.0f\n", all / seconds(), all / (cpuSeconds() - before));
}

char* array(int value) {
  auto* data = static_cast<char*>(std::aligned_alloc(size_t{2} << 20, kBytes));
  if (!data) std::exit(1);
#ifdef MADV_HUGEPAGE
  madvise(data, kBytes, MADV_HUGEPAGE);
#endif
  std::memset(data, value, kBytes);
  return data;
}

}  // namespace

int main() {
  const char* from = array(1);
  char* to = array(2);
  char what[8];
  int threads = 0;
  while (std::scanf("%7s %d", what, &threads) == 2) {
    if (threads < 1 || threads > 16) return 1;
    measure(what[0] == 'c', threads, from, to);
    std::fflush(stdout);
  }
}
