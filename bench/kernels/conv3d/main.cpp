// Compiled once with each step: a child of bench/ladder.bench.ts. `step D H W Cin Cout threads` makes random numbers and then answers lines on stdin: "run N" is the
// mean time of N convolutions, "facts" the most resident memory and the error against the definition in double, at every corner and edge and at random voxels.
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>

#include "ladder.h"

namespace {

double exact(const Problem& p, const float* x, const float* weight, int d, int h, int w, int o) {
  double sum = 0;
  for (int t = 0; t < 27; t++) {
    const int id = d + t / 9 - 1, ih = h + t / 3 % 3 - 1, iw = w + t % 3 - 1;
    if (id < 0 || id >= p.D || ih < 0 || ih >= p.H || iw < 0 || iw >= p.W) continue;
    for (int c = 0; c < p.Cin; c++)
      sum += double(x[p.voxel(id, ih, iw) * p.Cin + c]) * weight[(size_t(o) * p.Cin + c) * 27 + t];
  }
  return sum;
}

// Relative root mean square over the voxels that are looked at.
double error(const Problem& p, const float* x, const float* weight, const float* y) {
  std::mt19937 random(5);
  double gap = 0, size = 0;
  const auto look = [&](int d, int h, int w) {
    for (int o = 0; o < p.Cout; o++) {
      const double want = exact(p, x, weight, d, h, w, o);
      gap += std::pow(y[p.voxel(d, h, w) * p.Cout + o] - want, 2);
      size += want * want;
    }
  };
  const int ends[3][3] = {{0, p.D / 2, p.D - 1}, {0, p.H / 2, p.H - 1}, {0, p.W / 2, p.W - 1}};
  for (int i = 0; i < 27; i++) look(ends[0][i / 9], ends[1][i / 3 % 3], ends[2][i % 3]);
  for (int i = 0; i < 2000; i++) look(random() % p.D, random() % p.H, random() % p.W);
  return std::sqrt(gap / size);
}

// VmHWM, which begins anew with a program, other than what getrusage says of a child; 0 where there is none.
double residentMb() {
  double kilobytes = 0;
  if (std::FILE* status = std::fopen("/proc/self/status", "r")) {
    char line[128];
    while (std::fgets(line, sizeof line, status))
      if (std::sscanf(line, "VmHWM: %lf", &kilobytes) == 1) break;
    std::fclose(status);
  }
  return kilobytes / 1024;
}

double cpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) return 2;
  int n[6];
  for (int i = 0; i < 6; i++) n[i] = std::atoi(argv[i + 1]);
  const Problem p{n[0], n[1], n[2], n[3], n[4]};
  if (p.W % 4 || p.Cin % kLanes || p.Cout % 32 || n[5] < 1) return 2;
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  std::vector<float> x(p.voxel(p.D, 0, 0) * p.Cin), weight(size_t(27) * p.Cin * p.Cout);
  for (auto& v : x) v = normal(random);
  for (auto& v : weight) v = normal(random);
  // NaN shows a voxel that a step forgets.
  std::vector<float> y(p.voxel(p.D, 0, 0) * p.Cout, NAN);
  const auto packed = pack(p, weight.data());
  char line[16];
  while (std::scanf("%15s", line) == 1) {
    int runs = 0;
    if (line[0] == 'r' && std::scanf("%d", &runs) == 1 && runs > 0) {
      const double before = cpuSeconds();
      const auto begin = std::chrono::steady_clock::now();
      for (int i = 0; i < runs; i++) convolve(p, x.data(), packed.data(), y.data(), n[5]);
      const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - begin;
      std::printf("{\"seconds\": %.9f, \"cpu\": %.9f}\n", passed.count() / runs,
                  (cpuSeconds() - before) / runs);
    } else {
      const double wrong = error(p, x.data(), weight.data(), y.data());
      // JSON has no NaN.
      std::printf("{\"rss_mb\": %.1f, \"error\": %.3g}\n", residentMb(),
                  std::isfinite(wrong) ? wrong : 1e30);
    }
    std::fflush(stdout);
  }
}
