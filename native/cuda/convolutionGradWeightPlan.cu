// The choices of convolutionGradWeightPlan.h, made on the host: no kernel, so no FLOPs and no bytes. Up to 240 tiles, three patches by twenty
// shapes by four boxes, are laid out and the one of the least estimated time is taken; the choice is kept, up to 4096 of them.
//
// Limits: 64 KB of shared memory a block; a lattice of fewer than 512 slices, 2048 rows and 2048 columns, which are packed in 32 bits; fewer
// than 2^31 tiles (checkedInt). A run of more than 16384 voxels, where f32 sums begin to lose digits, is made only where partial results
// would else exceed 64 MB, or runs 65535.
#include <algorithm>
#include <map>
#include <mutex>
#include <vector>

#include "cuda/convolutionGradWeightPlan.h"

namespace rvx::cuda {
namespace {

// Three blocks on a multiprocessor of a H100; all that older chips have.
constexpr unsigned kMostShared = 64 << 10;
// Blocks that fill a large chip. Fixed, so that bits do not depend on the chip.
constexpr int64_t kWantedBlocks = 528;
constexpr int64_t kMostPartialBytes = 64 << 20;
// Voxels of a run at most: an f32 sum of all would lose digits.
constexpr int64_t kLongestRun = 16384;

int64_t divideUp(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Lays out the lattice; false where it does not fit.
bool layOut(GradTile& t) {
  const GatherAxis& w = t.axis[2];
  for (const GatherAxis& a : t.axis)
    if (a.count >= 512 * (&a == &t.axis[0] ? 1 : 4)) return false;
  t.phase = static_cast<int>(divideUp(w.count, w.lstep));
  t.pitch = t.phase * w.lstep;
  int64_t slice = int64_t{t.pitch} * t.axis[1].count;
  if (slice * t.axis[0].count > kMostShared / 16) return false;
  // Eight rows of an ldmatrix are 4 along W in two slices, which must lie 4 slots apart modulo 8.
  if (t.patchW == 4 && t.axis[0].lstep <= 2)
    while (slice * t.axis[0].lstep % 8 != 4) slice++;
  t.slice = static_cast<int>(slice);
  // Lanes side by side fill one slot's planes: those begin 16 * 8 / units bytes apart modulo 128.
  const auto padded = [](int slots, int units) {
    while (units > 1 && slots % 8 != 8 / units) slots++;
    return slots;
  };
  t.fineSlots = padded(t.slice * t.axis[0].count, t.fineUnits);
  t.coarsePitch = padded(t.coarseSlots, t.coarseUnits);
  t.sharedBytes =
      t.tableBytes() +
      static_cast<unsigned>(t.coarsePitch * t.coarseUnits + t.fineSlots * t.fineUnits) * 16;
  return t.sharedBytes <= kMostShared;
}

GradTile searched(const WeightGradient& g) {
  const bool tensor = g.operand != DType::f32;
  const int mostTaps = tensor ? 3 * kWarpTaps : 9;
  GradTile base;
  base.unit = tensor ? 8 : 4;
  for (size_t a = 0; a < 3; ++a)
    base.axis[a] = convolutionAxis(g.fineSize[a], g.coarseSize[a], g.kernel[a], g.stride[a],
                                   g.padding[a], g.dilation[a]);
  const int64_t channels = g.coarse.channels;
  // On tensor cores two groups of 16 share the fine tile, unless the second would be padding.
  const bool two = tensor && channels > 16 && !(channels <= 48 && (channels - 1) % 32 < 16);
  base.coarseGroups = two ? 2 : 1;
  base.coarseUnits = 16 / base.unit * base.coarseGroups;
  base.coarseTiles = checkedInt(divideUp(channels, 16 * base.coarseGroups));
  base.firstUnits = checkedInt(divideUp(g.fine[0].channels, base.unit));
  const int64_t units = base.firstUnits + divideUp(g.fine[1].channels, base.unit);
  base.fineUnits = units == 1 ? 1 : 16 / base.unit;
  base.fineTiles = checkedInt(divideUp(units, base.fineUnits));

  GradTile best;
  double bestCost = 0;
  const auto consider = [&](GradTile t, const int(&box)[3]) {
    t.axis[0].lay(t.patchD * t.patchesD, box[0]);
    t.axis[1].lay(t.axis[1].tile, box[1]);
    t.axis[2].lay(t.patchW * t.patchesW, box[2]);
    for (int a = 0; a < 3; ++a) t.boxes[a] = static_cast<int>(divideUp(t.axis[a].taps, box[a]));
    const int taps = box[0] * box[1] * box[2];
    t.rowsShared =
        tensor && t.axis[1].taps == 3 && box[1] == 3 && t.axis[1].lstep == 1 && t.axis[1].ltap == 1;
    if (tensor) {
      const int columns = box[0] * box[2];
      t.tapWarps =
          static_cast<int>(t.rowsShared ? divideUp(columns, 3) : divideUp(taps, kWarpTaps));
      t.tapsPerWarp = t.rowsShared ? kWarpTaps : static_cast<int>(divideUp(taps, t.tapWarps));
      t.voxelGroups = (t.tapWarps == 1 ? 4 : 2) / t.coarseGroups;
    } else {
      t.tapWarps = taps, t.tapsPerWarp = 1;
      t.voxelGroups = taps <= 2 ? 4 : taps <= 4 ? 2 : 1;
    }
    if (t.quads % t.voxelGroups != 0) return;
    t.coarseSlots = 16 * t.steps();
    if (!layOut(t)) return;
    t.tiles = checkedInt(g.samples * t.axis[0].tiles() * t.axis[1].tiles() * t.axis[2].tiles());
    // Of one multiprocessor in nanoseconds: 16 staged bytes, or the products of its mean speed.
    const double staged = double(t.sharedBytes - t.tableBytes()) / 16;
    const double products = double(t.coarseSlots) * t.tapWarps * t.tapsPerWarp *
                            (t.coarseUnits * t.unit) * (t.fineUnits * t.unit) * 2 /
                            (tensor ? 4500 : 300);
    const double cost = double(t.tiles) * t.boxCount() * (staged + products);
    if (bestCost == 0 || cost < bestCost) best = t, bestCost = cost;
  };
  int box[3];
  box[2] = std::min(base.axis[2].taps, mostTaps);
  box[1] = std::min(base.axis[1].taps, mostTaps / box[2]);
  box[0] = std::min(base.axis[0].taps, mostTaps / box[2] / box[1]);
  // Smaller boxes where the lattice of larger ones is wide.
  for (int shrunk = 0; shrunk <= 3; ++shrunk) {
    if (shrunk > 0) {
      if (box[shrunk - 1] == 1) continue;
      box[shrunk - 1] = 1;
    }
    for (const int patch : {16, 8, 4})
      for (int d = 1; d <= 8; d *= 2)
        for (int h = 1; d * h <= 8; h *= 2)
          for (int w = 1; d * h * w <= 8; w *= 2) {
            GradTile t = base;
            t.patchW = patch, t.patchD = 16 / patch;
            t.patchesD = d, t.patchesW = w;
            t.axis[1].tile = kQuadRows * h;
            t.quads = d * h * w;
            consider(t, box);
          }
  }
  require(bestCost > 0, "InternalError", "No tile of a weight gradient fits into shared memory");

  const int64_t others =
      std::max<int64_t>(1, int64_t{best.boxCount()} * best.coarseTiles * best.fineTiles);
  const int64_t voxels = int64_t{best.tiles} * best.coarseSlots;
  const int64_t wanted = std::max(divideUp(kWantedBlocks, others), divideUp(voxels, kLongestRun));
  const int64_t bytes = std::max<int64_t>(1, best.partialSize() * best.voxelGroups * 4);
  const int64_t most = std::min({int64_t{best.tiles}, kMostPartialBytes / bytes, int64_t{65535}});
  best.splits = static_cast<int>(std::max<int64_t>(1, std::min(wanted, most)));
  return best;
}

}  // namespace

// As planTensor: all that the search reads of `g` is the key.
GradTile planGradient(const WeightGradient& g) {
  std::vector<int64_t> key = {g.samples, g.coarse.channels, g.fine[0].channels, g.fine[1].channels,
                              g.operand != DType::f32};
  for (const Int3* list :
       {&g.coarseSize, &g.fineSize, &g.kernel, &g.stride, &g.padding, &g.dilation})
    key.insert(key.end(), list->begin(), list->end());
  static std::mutex mutex;
  static auto* const known = new std::map<std::vector<int64_t>, GradTile>;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto found = known->find(key);
  if (found != known->end()) return found->second;
  if (known->size() >= 4096) known->clear();
  return known->emplace(std::move(key), searched(g)).first->second;
}

}  // namespace rvx::cuda
