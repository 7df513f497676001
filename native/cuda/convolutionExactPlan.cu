// The choices of convolutionExactPlan.h, made on the host: no kernel, so no FLOPs and no bytes.
//
// Layouts are tried from all taps at once down to one tap of up to four channels, eight at most for a class; the first whose inputs fit into
// kInputBytes of shared memory is taken. The split of the sum goes by channels and depends on the shape alone.
//
// Limits: taps are never split, so of up to eight channels a sum of more than kLongestSum terms stays whole. The last layout is taken unseen: a
// tile's inputs of one tap and four channels take at most about 16 KB, whatever the stride. kFill blocks fill an H100 twice; smaller chips
// get as many.
#include <algorithm>

#include "cuda/convolutionExactPlan.h"

namespace rvx::cuda {
namespace {

constexpr size_t kInputBytes = 40 << 10;
constexpr int kStageFloats = 2048;  // of weights, of each buffer
constexpr int64_t kFill = 264;      // blocks that fill a large chip twice
constexpr int64_t kLongestSum = 4096;

int placesOf(ExactPass& p, int groups, const int (&tile)[3]) {
  for (int a = 0; a < 3; ++a)
    p.axis[a].lay(tile[a], a < groups ? std::min(1, p.axis[a].taps) : p.axis[a].taps);
  p.phase = (p.axis[2].count + p.axis[2].lstep - 1) / p.axis[2].lstep;
  p.rowPitch = p.phase * p.axis[2].lstep;
  const int64_t places = int64_t{p.rowPitch} * p.axis[1].count * p.axis[0].count;
  if (places > (1 << 20)) return 1 << 20;
  p.planePitch = p.rowPitch * p.axis[1].count;
  // The second quad's plane starts 64 bytes off a row of banks, so that storing both at once meets no conflict.
  p.places = (static_cast<int>(places) + 3) / 8 * 8 + 4;
  return p.places;
}

// Chooses chunk and group.
void layOut(ExactPass& p, int G, int chunk) {
  const int tile[3] = {2 * exactThreadsD(G), 4 * exactThreadsH(G), kExactTileW};
  // One index along the first `groups` axes at a time, until the inputs fit; the last always does.
  for (int groups = 0; groups <= 3; ++groups)
    for (int tried = chunk;; tried = 4) {
      p.chunk = tried;
      if (size_t(placesOf(p, groups, tile)) * size_t(tried) * sizeof(float) <= kInputBytes ||
          (groups == 3 && tried <= 4))
        return;
      if (tried <= 4) break;
    }
}

}  // namespace

int chooseGroups(int64_t made) {
  int best = 1;
  double least = 1e30;
  for (int G : {1, 2, 4, 8}) {
    const double cost = double((made + 8 * G - 1) / (8 * G) * 8 * G) * (1 + 0.5 / G);
    if (cost < least) least = cost, best = G;
  }
  return best;
}

ExactPass cutClass(const ExactPass& pass, const std::array<GatherAxis, 3>& axes, int G) {
  ExactPass p = pass;
  for (size_t a = 0; a < 3; ++a) p.axis[a] = axes[a];
  const int cin = p.in.channels();
  layOut(p, G, !takesQuads(p) ? std::max(1, cin) : cin > 4 ? 8 : 4);
  p.chunks = (cin + p.chunk - 1) / p.chunk;
  return p;
}

int64_t chooseSplits(const ExactPass& largest, int64_t blocks) {
  int64_t terms = largest.in.channels();
  for (const GatherAxis& a : largest.axis) terms *= std::max(1, a.taps);
  const int64_t splits =
      std::max((terms + kLongestSum - 1) / kLongestSum, (kFill + blocks - 1) / blocks);
  return std::clamp<int64_t>(splits, 1, std::max(1, largest.chunks));
}

size_t finishPass(ExactPass& p, int G, int64_t splits) {
  p.chunksPerSplit = static_cast<int>((p.chunks + splits - 1) / splits);
  p.byColumns = Divider(p.axis[2].count), p.byRows = Divider(p.axis[1].count);
  p.byStepW = Divider(p.axis[2].lstep), p.byChunk = Divider(p.chunk);
  p.byGroupW = Divider(std::max(1, p.axis[2].group));
  p.byGroupH = Divider(std::max(1, p.axis[1].group));
  p.groupTaps = p.axis[0].group * p.axis[1].group * p.axis[2].group;
  p.stageTaps = std::clamp(kStageFloats / (p.chunk * 8 * G), 1, std::max(1, p.groupTaps));
  size_t input = size_t(p.places) * size_t(p.chunk) * sizeof(float);
  input = (input + 15) / 16 * 16;
  p.weightAt = static_cast<unsigned>(input);
  // The moments' scratch lies over both: 128 floats and two rows of totals.
  return std::max<size_t>(input + 2 * size_t(p.stageTaps * p.chunk * 8 * G) * sizeof(float),
                          1024 + 512);
}

}  // namespace rvx::cuda
