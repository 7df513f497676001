#include "cuda/convolutionTensorPlan.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <mutex>
#include <numeric>
#include <vector>

namespace rvx::cuda {

int tensorSize(int64_t n) {
  require(n >= 0 && n < (int64_t{1} << 30), "ShapeMismatch",
          "An axis of " + std::to_string(n) + " is too long for a convolution");
  return static_cast<int>(n);
}

void requirePadded(int64_t in, int64_t padding) {
  require(in + 2 * padding <= INT32_MAX, "ShapeMismatch",
          "A convolution on tensor cores takes axes of fewer than 2^31 voxels with their padding, "
          "not " +
              std::to_string(in + 2 * padding));
}

TensorAxis convolutionAxis(int in, int out, int taps, int stride, int padding, int dilation) {
  requirePadded(in, padding);
  TensorAxis a;
  a.in = in, a.out = out, a.taps = taps;
  a.shift = -padding;
  // With stride 1, voxels that lie a dilation apart are dense problems of their own. One tap has no dilation.
  if (taps == 1) dilation = 1;
  if (stride == 1) {
    a.apart = a.spread = dilation;
    a.classes = std::clamp(out, 1, dilation);
  } else {
    a.step = stride;
    a.tapStep = dilation;
  }
  return a;
}

// x's position i takes from dy's o = (i + padding - k * dilation) / stride for the taps k where that is whole: every period-th one.
// Turned round, so that o grows with the tap.
TensorAxis gradientAxis(int in, int out, int taps, int stride, int padding, int dilation,
                        int rest) {
  requirePadded(out, padding);
  TensorAxis a;
  a.in = in, a.out = out;
  if (taps == 1) dilation = 1;
  const int period = stride / std::gcd(stride, dilation);
  int first = 0;
  while (first < period && (rest + padding - int64_t{first} * dilation) % stride != 0) first++;
  a.taps = first < period && first < taps ? (taps - 1 - first) / period + 1 : 0;
  const int last = first + (a.taps - 1) * period;
  a.kernel = last;
  a.kernelStep = -period;
  if (stride == 1) {
    a.apart = a.spread = dilation;
    a.classes = std::clamp(out, 1, dilation);
    a.shift = padding - last * dilation;
    return a;
  }
  a.start = rest;
  a.spread = stride;
  a.tapStep = dilation / std::gcd(stride, dilation);
  a.shift = a.taps > 0 ? (rest + padding - last * dilation) / stride : 0;
  return a;
}

namespace {

// Multiprocessors of the chip that tiles are chosen for. Fixed, so that bits do not depend on the chip.
constexpr double kProcessors = 132;
constexpr int kMostSplits = 16;
// Slots of a halo and taps of a kernel beyond which no chip's shared memory is: sizes in bytes of what is laid out fit 32 bits.
constexpr int64_t kMostSlots = 1 << 16;
constexpr int64_t kMostTaps = 1 << 16;

int divideUp(int a, int b) { return (a + b - 1) / b; }

// Enough shared memory for as many blocks on a multiprocessor of a H100 as registers allow.
unsigned wantedShared(const TensorTile& t) { return t.columns == 8 ? 110u << 10 : 74u << 10; }

// False where the halo has more slots than any shared memory.
bool layHalo(TensorTile& t, const std::array<TensorAxis, 3>& axis, int channels) {
  const auto extent = [](int64_t size, int64_t step, int64_t taps, int64_t tapStep) {
    return std::max<int64_t>(1, (size - 1) * step + (taps - 1) * tapStep + 1);
  };
  t.tapsW = divideUp(axis[2].taps, t.packed);
  const int64_t tapStepW = int64_t{axis[2].tapStep} * t.packed;
  // Of one tap a stride skips what it does not read.
  const auto stepOf = [&](const TensorAxis& a, int taps) {
    return t.gathered || taps <= 1 ? 1 : a.step;
  };
  t.stepD = stepOf(axis[0], axis[0].taps);
  t.stepH = stepOf(axis[1], axis[1].taps);
  t.phases = stepOf(axis[2], t.tapsW);
  const auto taps = [&](int n) { return t.gathered ? 1 : n; };
  const int64_t d = extent(t.sizeD, t.stepD, taps(axis[0].taps), axis[0].tapStep);
  const int64_t h = extent(t.sizeH, t.stepH, taps(axis[1].taps), axis[1].tapStep);
  const int64_t w = extent(t.sizeW, t.phases, taps(t.tapsW), tapStepW);
  const int64_t most = std::max({d, h, w});
  if (most > kMostSlots || d * h > kMostSlots || d * h * (w + t.phases - 1) > kMostSlots)
    return false;
  t.haloD = static_cast<int>(d), t.haloH = static_cast<int>(h), t.haloW = static_cast<int>(w);
  t.tapStepW = static_cast<int>(std::min<int64_t>(tapStepW, INT32_MAX));
  if (t.packed > 1) {
    t.rawStep = t.phases == 1 ? axis[2].step : 1;
    const int64_t row = (w - 1) * t.rawStep + int64_t{t.packed - 1} * axis[2].tapStep + 1;
    if (row > kMostSlots || d * h * row > kMostSlots) return false;
    t.rawPitch = channels * static_cast<int>(row);
  }
  t.phase = divideUp(t.haloW, t.phases);
  t.pitch = t.phase * t.phases;
  t.slice = t.haloH * t.pitch;
  // Eight rows of an ldmatrix are 4 along W in two slices: those must lie 4 slots apart modulo 8.
  if (t.patchW == 4 && t.stepD <= 2)
    while (t.slice * t.stepD % 8 != 4) t.slice++;
  // The other plane lies 4 slots further modulo 8, so that stores of both planes by one warp meet no bank twice.
  t.slots = t.haloD * t.slice;
  while (t.slots % 8 != 4) t.slots++;
  return true;
}

// Divides the items; false where it does not fit.
bool layShared(TensorTile& t, unsigned most) {
  const int chunks = t.channels8 / 2;
  const int units = t.items / t.unitItems;
  const int64_t fixed = t.tableBytes() + t.rawBytes(), halo = t.haloUnits() * kUnitBytes;
  const int64_t unit = int64_t{t.unitItems} * 2 * t.blockN() * kUnitBytes;
  // Partial statistics of the warps take the place of the first halo at the end.
  const int64_t moments = t.warpsM() * (t.blockN() * 8 + 4);
  t.resident = false;
  const auto bytes = [&](int groupUnits) {
    t.groupUnits = groupUnits;
    t.groups = divideUp(units, groupUnits);
    t.steps = chunks * t.groups;
    t.haloBuffers = (t.gathered ? t.steps : chunks) > 1 ? 2 : 1;
    t.weightBuffers = t.steps > 1 ? 2 : 1;
    const int64_t all = fixed + std::max(moments, t.haloBuffers * halo +
                                                      int64_t{t.weightBuffers} * groupUnits * unit);
    // What does not fit shall not look as if it did: it is measured before it is narrowed.
    t.sharedBytes = static_cast<unsigned>(std::min<int64_t>(all, UINT32_MAX));
    return all;
  };
  if (units <= 1 || t.gathered) return bytes(1) <= most;
  const int64_t wanted = std::min(most, wantedShared(t));
  if (bytes(units) <= wanted) return true;
  bytes(1);
  const int64_t haloes = fixed + t.haloBuffers * halo;
  const int64_t left = haloes < wanted ? (wanted - haloes) / (2 * unit) : 0;
  // Groups of one size, since the largest counts.
  const int groups = divideUp(units, std::max(1, std::min(static_cast<int>(left), units - 1)));
  return bytes(divideUp(units, groups)) <= most;
}

// Blocks that a multiprocessor holds at once, by the registers and shared memory of an H100.
int blocksAtOnce(const TensorTile& t) {
  const int byRegisters = t.columns == 8 || t.up.chunks > 0 ? 2 : 3;
  return std::max(1,
                  std::min(byRegisters, static_cast<int>((227u << 10) / (t.sharedBytes + 1024))));
}

// Where every block has several tiles to make, the weights are brought once if that costs no block its place.
void keepWeights(TensorTile& t, int64_t tiles, unsigned most) {
  t.blocks = static_cast<int>(tiles);
  if (t.gathered || t.splits > 1 || t.items == 0) return;
  TensorTile kept = t;
  const auto units = t.items / t.unitItems;
  const int chunks = t.channels8 / 2;
  const int64_t halo = t.haloUnits() * kUnitBytes;
  const int64_t weights = int64_t{t.items} * 2 * t.blockN() * kUnitBytes * chunks;
  kept.resident = true;
  kept.groups = 1, kept.groupUnits = units, kept.steps = chunks;
  kept.haloBuffers = chunks > 1 ? 2 : 1, kept.weightBuffers = chunks;
  const int64_t bytes = t.tableBytes() + t.rawBytes() + kept.haloBuffers * halo + weights;
  if (bytes > most) return;
  kept.sharedBytes = static_cast<unsigned>(bytes);
  if (blocksAtOnce(kept) < std::min(2, blocksAtOnce(t))) return;
  if (halo < t.warpsM() * (t.blockN() * 8 + 4)) return;
  kept.blocks = static_cast<int>(kProcessors) * blocksAtOnce(kept);
  if (tiles >= 2 * int64_t{kept.blocks}) t = kept;
}

// Nanoseconds on that chip, roughly: what a block multiplies, reads from shared memory and fetches from the second-level cache; how
// many blocks a multiprocessor gets, one or two of which do not keep it busy; partial sums.
double costOf(const TensorTile& t, double blocks, double outputs) {
  const double chunks = t.channels8 / 2.0;
  const double products = chunks * std::max(t.items, 1);
  const double warps = kTileWarps;
  const double multiply = 0.91 * warps * t.depth * kTileRows * t.columns * products;
  const double rows = t.rowsShared ? (kTileRows + 2) / 3.0 : kTileRows;
  const double shared = 2.3 * warps * (t.depth * rows + t.columns / 2.0) * products;
  const double haloes = double(t.haloUnits()) * (t.gathered ? std::max(t.items, 1) : 1);
  const double fetch = (haloes * chunks + 2.0 * t.blockN() * products) * kUnitBytes / 32;
  const double longest = std::max({multiply, shared, fetch});
  const double block = longest + 0.3 * (multiply + shared + fetch - longest);
  const double each = std::ceil(blocks * t.splits / kProcessors);
  const double idle = each <= 1 ? 1.7 : each <= 2 ? 1.25 : 1;
  return each * (idle * block / t.splits + 500) +
         (t.splits > 1 ? 3000 + outputs * t.splits * 8 / 3000 : 0);
}

}  // namespace

namespace {

std::optional<TensorTile> searched(const TensorConvolution& c, const Chip& chip) {
  const auto& axis = c.axis;
  const int positions[3] = {positionsOf(axis[0]), positionsOf(axis[1]), positionsOf(axis[2])};
  // At most as many as y has voxels.
  const int64_t classes = int64_t{axis[0].classes} * axis[1].classes * axis[2].classes;
  const auto most = static_cast<unsigned>(chip.sharedPerBlock);
  const int channels = c.source[0].channels;
  const int64_t mostTaps = std::max({axis[0].taps, axis[1].taps, axis[2].taps});
  if (mostTaps > kMostTaps || int64_t{axis[0].taps} * axis[1].taps > kMostTaps ||
      int64_t{axis[0].taps} * axis[1].taps * axis[2].taps > kMostTaps)
    return std::nullopt;
  const int taps = axis[0].taps * axis[1].taps * axis[2].taps;
  // Launches that write only some of the voxels leave nothing for another kernel to add up.
  bool whole = true;
  for (const TensorAxis& a : axis) whole = whole && a.spread == a.apart;

  TensorTile base;
  base.firstChannels8 = divideUp(channels, 8);
  base.channels8 = divideUp(base.firstChannels8 + divideUp(c.source[1].channels, 8), 2) * 2;
  const double outputs =
      double(positions[0]) * positions[1] * positions[2] * double(classes) * c.samples;

  TensorTile best;
  double bestCost = 0;
  const auto consider = [&](TensorTile t) {
    t.patchD = 16 / t.patchW;
    t.sizeD = t.warpsD * t.depth * t.patchD;
    t.sizeH = t.warpsH * kTileRows;
    t.sizeW = t.warpsW * t.patchW;
    t.tilesD = divideUp(positions[0], t.sizeD);
    t.tilesH = divideUp(positions[1], t.sizeH);
    t.tilesW = divideUp(positions[2], t.sizeW);
    t.packed = t.paired ? std::min(8 / channels, axis[2].taps) : 1;
    t.rowsShared =
        !t.gathered && !t.paired && axis[1].taps == 3 && axis[1].tapStep == 1 && axis[1].step == 1;
    if (!layHalo(t, axis, channels)) return;
    t.items = t.paired ? divideUp(axis[0].taps * axis[1].taps * t.tapsW, 2) : taps;
    t.unitItems = t.gathered || t.paired || taps == 0 ? 1
                  : t.rowsShared                      ? axis[1].taps * axis[2].taps
                                                      : axis[2].taps;
    if (!layShared(t, most)) return;
    const double blocks = double(t.tilesD) * t.tilesH * t.tilesW * double(classes) * c.samples *
                          divideUp(c.cout, t.blockN());
    for (t.splits = 1; t.splits <= (whole ? std::min(kMostSplits, t.steps) : 1); ++t.splits) {
      const double cost = costOf(t, blocks, outputs * c.cout);
      if (bestCost == 0 || cost < bestCost) best = t, bestCost = cost;
    }
  };
  const bool few = whole && taps > 0 && channels <= 8 && c.source[1].channels == 0;
  enum { kPaired, kPlain, kGathered };
  for (int way = few ? kPaired : kPlain; way <= kGathered && bestCost == 0; ++way)
    for (const int columns : {2, 4, 8}) {
      // Wider than the output only where nothing narrower is left.
      if (columns > 2 && c.cout <= columns * 4) continue;
      if (columns == 2 && c.cout > 16) continue;
      for (const int patch : {16, 8, 4})
        for (int d = 1; d <= kTileWarps; d *= 2)
          for (int h = 1; d * h <= kTileWarps; h *= 2)
            for (int w = 1; d * h * w <= kTileWarps; w *= 2) {
              TensorTile t = base;
              t.paired = way == kPaired;
              t.gathered = way == kGathered;
              t.columns = columns;
              t.depth = columns == 2 ? 2 : 1;
              t.patchW = patch;
              t.warpsD = d, t.warpsH = h, t.warpsW = w, t.warpsN = kTileWarps / (d * h * w);
              if (t.warpsN > 1 && c.cout <= t.blockN() / 2) continue;
              consider(t);
            }
    }
  if (bestCost == 0) return std::nullopt;
  const int64_t tiles =
      int64_t{best.tilesD} * best.tilesH * best.tilesW * classes * int64_t{c.samples};
  require(tiles <= INT32_MAX, "ShapeMismatch",
          "A convolution of " + std::to_string(tiles) + " tiles is too large for one launch");
  keepWeights(best, tiles, most);
  return best;
}

}  // namespace

// The search takes longer than a small convolution: each geometry is looked for once.
std::optional<TensorTile> planTensor(const TensorConvolution& c, const Chip& chip) {
  std::vector<int64_t> key = {c.samples, c.source[0].channels, c.source[1].channels, c.cout,
                              static_cast<int64_t>(chip.sharedPerBlock)};
  for (const TensorAxis& a : c.axis)
    key.insert(key.end(), {a.in, a.out, a.step, a.tapStep, a.taps, a.classes, a.apart, a.shift,
                           a.start, a.spread, a.kernel, a.kernelStep});
  static std::mutex mutex;
  static auto* const known = new std::map<std::vector<int64_t>, std::optional<TensorTile>>;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = known->find(key);
  if (found != known->end()) return found->second;
  // Far more geometries than networks have: a program that tries shapes shall not grow for ever.
  if (known->size() >= 4096) known->clear();
  return known->emplace(std::move(key), searched(c, chip)).first->second;
}

namespace {

// Bytes a second and products (multiplications and additions) of a H100, as bench/kernels.bench.ts counts rooflines.
constexpr double kCopied = 3.0e12, kMultiplied = 800e12;

// Whether a tile takes less time by its roofline than the transposed convolution and the convolution by theirs, by a tenth at least.
bool paysUp(const TensorConvolution& c, const TensorTile& t) {
  const auto time = [](double bytes, double products) {
    return std::max(bytes / kCopied, 2 * products / kMultiplied);
  };
  const double voxels = double(t.sizeD) * t.sizeH * t.sizeW;
  const double stored = c.sourceType == DType::f32 ? 4 : 2;
  const double x = voxels / 8 * c.up.source.channels * stored;
  const double made = voxels * c.source[0].channels * stored;
  const double rest =
      voxels * c.source[1].channels * stored + voxels * c.cout * (c.y->dtype == DType::f32 ? 4 : 2);
  const double columns = divideUp(c.cout, t.blockN());
  const double main = voxels * columns * t.blockN() * t.items * t.channels8 * 8;
  // Each tap's voxels in the halo, in warps of 32 rows.
  const double rows =
      divideUp(divideUp(t.haloD, 2) * divideUp(t.haloH, 2) * divideUp(t.haloW, 2), 32) * 32;
  const double up = 8.0 * t.up.chunks * 32 * t.firstChannels8 * 8;
  const double fused = time(x + rest, main + columns * rows * up);
  return fused <= 0.9 * (time(x + made, voxels / 8 * up) + time(made + rest, main));
}

}  // namespace

std::optional<TensorTile> planUp(const TensorConvolution& c, const Chip& chip) {
  const std::optional<TensorTile> found = planTensor(c, chip);
  if (!found) return std::nullopt;
  TensorTile t = *found;
  bool dense = t.rowsShared && t.splits == 1 && t.columns <= 4;
  for (const TensorAxis& a : c.axis)
    dense = dense && a.apart == 1 && a.step == 1 && a.in > 0 && a.in % 2 == 0;
  if (!dense || c.up.source.channels == 0 || c.source[0].channels == 0) return std::nullopt;
  const int blocks = blocksAtOnce(t);
  t.up.haloD = t.haloD / 2 + 1, t.up.haloH = t.haloH / 2 + 1, t.up.haloW = t.haloW / 2 + 1;
  t.up.chunks = divideUp(c.up.source.channels, 32);
  // Four planes of two voxels are stored at once: they meet no bank twice.
  t.up.pitch = t.up.voxels();
  while (t.up.pitch % 8 != 2) t.up.pitch++;
  if (int64_t{t.up.chunks} * 4 * t.up.pitch * kUnitBytes > int64_t{chip.sharedPerBlock})
    return std::nullopt;
  t.sharedBytes += static_cast<unsigned>(t.rawBytes());
  if (t.sharedBytes > chip.sharedPerBlock || blocksAtOnce(t) < std::min(2, blocks) || !paysUp(c, t))
    return std::nullopt;
  if (t.resident) t.blocks = std::min(t.blocks, static_cast<int>(kProcessors) * blocksAtOnce(t));
  return t;
}

}  // namespace rvx::cuda
