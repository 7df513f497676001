// How a convolution by FFMA is cut: the tile and the channels of a block, the chunk of input channels and the group of taps that it stages
// at once, how the sum is split. The one place where shapes choose; it knows no chip, so that bits do not depend on one.
#pragma once
#include <array>

#include "cuda/gatherAxis.h"
#include "cuda/sources.h"

namespace rvx::cuda {

constexpr int kExactThreads = 128;
constexpr int kExactTileW = 8;
// A block of 8 * G channels: threads along D and H, each of 2 x 4 positions.
constexpr int exactThreadsD(int G) { return G <= 2 ? 4 : 2; }
constexpr int exactThreadsH(int G) { return 16 / G / exactThreadsD(G); }

// What a kernel knows, by value.
struct ExactPass {
  Sources in;
  bool runs;  // quads of channels are aligned
  GatherAxis axis[3];
  int chunk, chunks, chunksPerSplit;  // input channels at once; how many times
  int phase, rowPitch, planePitch, places;
  Divider byColumns, byRows, byStepW, byGroupW, byGroupH, byChunk, byCout;
  int groupTaps, stageTaps;
  const float* weight;  // packed
  int kernelH, kernelW, coutPad, cinPad;
  unsigned weightAt;  // shared bytes before the weights
  const float* bias;
  void* y;
  DType type;
  int outSize[3];
  int cout, made;   // channels of y; parts * channels of y
  int64_t split;    // values of one partial result; 0: not split
  float4* moments;  // [n][tile][cout]: pivot, sum of deviations, of their squares, count
};

// Inputs go by four channels at once.
inline bool takesQuads(const ExactPass& p) { return p.in.channels() > 3; }

// G, the channel groups of a block: the least padding, and less weight per FFMA with more of them.
int chooseGroups(int64_t made);

// The pass of one class of positions: lattices, chunk and group such that the inputs fit.
ExactPass cutClass(const ExactPass& pass, const std::array<GatherAxis, 3>& axes, int G);

// How many blocks share the channels of a sum, by the largest class, of which there are `blocks` blocks unless it is split.
int64_t chooseSplits(const ExactPass& largest, int64_t blocks);

// Sets what a class's pass needs besides for its launch. Returns the bytes of shared memory.
size_t finishPass(ExactPass& p, int G, int64_t splits);

}  // namespace rvx::cuda
