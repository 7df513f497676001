// The figures of surfaceDistances with surface = "elements": distances weighted by area.
//
// Areas are sums over the 256 codes of how many elements have each, so they do not depend on any order; a
// percentile is found by integer weights (math/surfaceElements.h) and a radix selection on the bits of the
// distances. Only the sum of distance times area is one of doubles, in raster order.
#include <cstring>

#include "core/pool.h"
#include "cpu/surfaces.h"

namespace rvx::cpu {
namespace {

// An element by its distance: for doubles that are not negative, bits have the order of values.
struct Weighed {
  uint64_t bits, weight;
};

// The first distance at which the share of the weight reaches `share`. Keeps only what it still looks at.
double reachedAt(Weighed* elements, int64_t count, uint64_t total, double share) {
  constexpr int kDigit = 11;
  std::array<uint64_t, 1 << kDigit> weights;
  uint64_t before = 0;
  for (int shift : {52, 41, 30, 19, 8, 0}) {
    const auto digitOf = [shift](uint64_t bits) {
      return static_cast<size_t>(bits >> shift & ((1u << kDigit) - 1));
    };
    weights.fill(0);
    for (int64_t i = 0; i < count; ++i) weights[digitOf(elements[i].bits)] += elements[i].weight;
    size_t digit = 0;
    while (weights[digit] == 0 || !reaches(before + weights[digit], total, share))
      before += weights[digit++];
    int64_t kept = 0;
    for (int64_t i = 0; i < count; ++i)
      if (digitOf(elements[i].bits) == digit) elements[kept++] = elements[i];
    count = kept;
  }
  double distance;
  std::memcpy(&distance, &elements[0].bits, sizeof distance);
  return distance;
}

// How many elements of each code there are.
std::array<int64_t, 256> countCodes(const Surface& surface) {
  std::array<int64_t, 256> counts{};
  const int64_t places = surface.size()[0] * surface.size()[1] * surface.size()[2];
  const uint8_t* codes = surface.row(0);
  for (int64_t i = 0; i < places; ++i) ++counts[codes[i]];
  counts[0] = 0;
  return counts;
}

}  // namespace

double elementArea(const Surface& surface, const ElementAreas& areas) {
  return areaOf(areas.mm2, countCodes(surface).data());
}

void elementFigures(const Surface& from, const double* distances, const ElementAreas& areas,
                    const SurfaceDistances& op, int64_t side, double* summary, Context& cx) {
  const int64_t count = from.count(), height = from.size()[1];
  Workspace codeSpace(cx, static_cast<size_t>(count));
  uint8_t* codes = codeSpace.data<uint8_t>();
  parallelFor(from.size()[0], [&](int64_t d) {
    for (int64_t row = d * height; row < (d + 1) * height; ++row) {
      uint8_t* out = codes + from.before(row);
      const uint8_t* line = from.row(row);
      if (from.before(row) == from.before(row + 1)) continue;
      for (int64_t w = 0; w < from.size()[2]; ++w)
        if (line[w] != 0) *out++ = line[w];
    }
  });
  double sum = 0, maximum = 0;
  uint64_t total = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += distances[i] * areas.mm2[codes[i]];
    maximum = std::max(maximum, distances[i]);
    total += areas.weight[codes[i]];
  }
  summary[kSumAB + side] = sum;
  summary[kMaximumAB + side] = maximum;

  double* out = summary + kSurfaceFigures + side;
  Workspace space(cx, static_cast<size_t>(count) * sizeof(Weighed));
  for (double percent : op.percentiles) {
    auto* elements = space.data<Weighed>();
    for (int64_t i = 0; i < count; ++i) {
      std::memcpy(&elements[i].bits, distances + i, sizeof(double));
      elements[i].weight = areas.weight[codes[i]];
    }
    *out = reachedAt(elements, count, total, percent / 100), out += 2;
  }
  for (double limit : op.tolerances) {
    std::array<int64_t, 256> within{};
    for (int64_t i = 0; i < count; ++i) within[codes[i]] += distances[i] <= limit;
    *out = areaOf(areas.mm2, within.data()), out += 2;
  }
}

}  // namespace rvx::cpu
