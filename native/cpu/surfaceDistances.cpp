// surfaceDistances: directed distances between the surfaces of two masks, in double, and their figures.
//
// surfaces.cpp finds surfaces and distances; the figures of elements are in surfaceElements.cpp. Sums are
// taken in raster order by one thread, so bits do not depend on threads.
#include <cmath>
#include <limits>

#include "cpu/surfaces.h"
#include "math/surfaceElements.h"

namespace rvx::cpu {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// Linear interpolation between order statistics. Reorders the values.
double percentile(double* values, int64_t count, double percent) {
  const double place = static_cast<double>(count - 1) * percent / 100;
  const auto below = static_cast<int64_t>(std::floor(place));
  std::nth_element(values, values + below, values + count);
  const double low = values[below];
  if (below + 1 >= count) return low;
  const double high = *std::min_element(values + below + 1, values + count);
  return low + (place - static_cast<double>(below)) * (high - low);
}

// The figures of one direction, at the places of the A-to-B figures of `summary`, or (side 1) one
// further.
void summarize(double* distances, int64_t count, const SurfaceDistances& op, int64_t side,
               double* summary) {
  double sum = 0, maximum = 0;
  for (int64_t i = 0; i < count; ++i) {
    sum += distances[i];
    maximum = std::max(maximum, distances[i]);
  }
  summary[kSumAB + side] = sum;
  summary[kMaximumAB + side] = maximum;
  double* out = summary + kSurfaceFigures + side;
  const auto percentiles = static_cast<int64_t>(op.percentiles.size());
  for (size_t i = 0; i < op.tolerances.size(); ++i)
    out[2 * (percentiles + static_cast<int64_t>(i))] = static_cast<double>(std::count_if(
        distances, distances + count, [limit = op.tolerances[i]](double x) { return x <= limit; }));
  for (int64_t i = 0; i < percentiles; ++i)
    out[2 * i] = percentile(distances, count, op.percentiles[static_cast<size_t>(i)]);
}

void keepDistances(const Output& out, const double* distances, int64_t count) {
  if (!out) return;
  const int64_t capacity = out.shape.size();
  double* to = out.data<double>();
  const int64_t kept = std::min(count, capacity);
  std::copy(distances, distances + kept, to);
  std::fill(to + kept, to + capacity, std::nan(""));
}

// What the figures are where a mask is empty.
void summarizeEmpty(const SurfaceDistances& op, bool both, double* summary) {
  const double value = both ? std::nan("") : kInfinity;
  for (int64_t i = kSumAB; i <= kMaximumBA; ++i) summary[i] = value;
  double* out = summary + kSurfaceFigures;
  const size_t percentiles = 2 * op.percentiles.size();
  std::fill(out, out + percentiles, value);
  std::fill(out + percentiles, out + percentiles + 2 * op.tolerances.size(), both ? value : 0);
}

}  // namespace

template <>
void run(const SurfaceDistances& op, Context& cx) {
  const JointMasks joint = jointMasks(op);
  double* summary = op.summary.data<double>();
  summary[kVoxelsA] = static_cast<double>(joint.voxelsA);
  summary[kVoxelsB] = static_cast<double>(joint.voxelsB);
  summary[kVoxelsBoth] = static_cast<double>(joint.both);
  const Surface surfaceA(op.a, op, joint.box, cx), surfaceB(op.b, op, joint.box, cx);
  ElementAreas areas;
  if (op.elements())
    areas = elementAreas(op.spacing, kCellsOfVoxel * (joint.voxelsA + joint.voxelsB));
  const int64_t countA = surfaceA.count(), countB = surfaceB.count();
  const bool none = countA == 0 || countB == 0;
  if (none) summarizeEmpty(op, countA + countB == 0, summary);
  Workspace space(cx, static_cast<size_t>(std::max(countA, countB)) * sizeof(double));
  double* distances = space.data<double>();
  for (int64_t side = 0; side < 2; ++side) {
    const Surface &from = side == 0 ? surfaceA : surfaceB, &to = side == 0 ? surfaceB : surfaceA;
    const int64_t count = from.count();
    summary[kSurfaceA + side] = static_cast<double>(count);
    summary[kAreaA + side] = op.elements() ? elementArea(from, areas) : std::nan("");
    if (none)
      std::fill(distances, distances + count, kInfinity);
    else
      directedDistances(from, to, op.spacing, distances, cx);
    keepDistances(side == 0 ? op.distancesAB : op.distancesBA, distances, count);
    if (none) continue;
    if (op.elements())
      elementFigures(from, distances, areas, op, side, summary, cx);
    else
      summarize(distances, count, op, side, summary);
  }
}

}  // namespace rvx::cpu
