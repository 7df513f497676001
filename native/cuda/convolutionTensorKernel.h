// The kernel of convolutionTensor.cu: a tile of a convolution on tensor cores.
#pragma once
#include "cuda/convolutionTensorGrad.h"
#include "cuda/convolutionTensorPool.h"
#include "cuda/convolutionTensorStore.h"
#include "cuda/convolutionTensorUp.h"

namespace rvx::cuda {

// up: the first source is made in the tiles. gradient: it may be formed on load, and the result summed on store.
enum class TensorForm { plain, up, gradient };

template <class T, bool Shared, int Depth, int Columns, TensorForm Form>
RVX_DEVICE void multiplyTiles(const TensorPass& p) {
  constexpr bool Up = Form == TensorForm::up, Gradient = Form == TensorForm::gradient;
  const TensorTile& t = p.tile;
  // Rows are shared by whole haloes of unpacked taps alone.
  const bool gathered = !Shared && t.gathered, packed = !Shared && t.packed > 1;
  const int firstColumn = static_cast<int>(blockIdx.y) * t.blockN();
  const auto split = static_cast<int>(blockIdx.z);
  const int begin = static_cast<int>(int64_t{t.steps} * split / t.splits);
  const int end = static_cast<int>(int64_t{t.steps} * (split + 1) / t.splits);

  // Shared memory: which voxel each slot holds; offsets and indices of taps; values before packing; haloes; weights.
  int* voxels = sharedMemory<int>();
  int* offsets = sharedMemory<int>(static_cast<unsigned>(t.voxelBytes()));
  int* indices = offsets + 2 * t.items;
  auto* raw = sharedMemory<uint16_t>(static_cast<unsigned>(t.tableBytes()));
  auto* coarse = reinterpret_cast<uint4*>(raw);
  auto* haloes = sharedMemory<uint4>(static_cast<unsigned>(t.tableBytes() + t.rawBytes()));
  const int haloUnits = t.haloUnits(), itemUnits = 2 * t.blockN();
  uint4* weights = haloes + t.haloBuffers * haloUnits;
  const int weightUnits = t.groupUnits * t.unitItems * itemUnits;

  const auto tid = static_cast<int>(threadIdx.x), threads = static_cast<int>(blockDim.x);
  for (int i = tid; i < 2 * t.items; i += threads) sts(offsets + i, offsetOf(p, i >> 1, i & 1));
  for (int i = tid; i < t.items; i += threads) sts(indices + i, indexOf(p, i));

  const auto firstItem = [&](int group) { return group * t.groupUnits * t.unitItems; };
  const auto itemsOf = [&](int group) {
    const int left = t.items - firstItem(group), most = t.groupUnits * t.unitItems;
    return left < most ? left : most;
  };
  // Which of the two haloes a step reads.
  const auto haloAt = [&](int step) {
    const int number = gathered ? step : step / t.groups;
    return haloes + (t.haloBuffers == 2 ? number & 1 : 0) * haloUnits;
  };
  const auto weightsAt = [&](int step) {
    return weights + (t.resident ? step : t.weightBuffers == 2 ? step & 1 : 0) * weightUnits;
  };
  const TensorLane lane = tensorLane(p);
  const auto block = static_cast<int>(blockIdx.x), blocks = static_cast<int>(gridDim.x);
  const int firstTile = static_cast<int>(int64_t{p.tiles} * block / blocks);
  const int endTile = static_cast<int>(int64_t{p.tiles} * (block + 1) / blocks);
  for (int tile = firstTile; tile < endTile; ++tile) {
    const TensorPlace at = placeOf(p, static_cast<unsigned>(tile));
    if (!packed && !gathered) {
      const Halo halo = haloOf(p, at, 0);
      for (int s = tid; s < t.slots; s += threads) sts(voxels + s, voxelOf(p, halo, s));
    }
    if constexpr (Up) {
      if (tile == firstTile) stageCoarse<T>(p, at, coarse);
      cpAsyncWait<0>();
    }
    if (Gradient && p.grad.raw) fillFormedTable(p, at.sample);
    syncBlock();  // also: the tile before has been read

    const auto fetch = [&](int step) {
      const int chunk = step / t.groups, group = step - chunk * t.groups;
      if (!t.resident || tile == firstTile)
        fillWeights(p, chunk, firstItem(group), itemsOf(group), firstColumn, indices,
                    weightsAt(step));
      if (gathered || (!packed && (step == begin || group == 0))) {
        if constexpr (Up) {
          fillUpHalo<T>(p, at, chunk, coarse, haloAt(step), [&](int s) { return lds(voxels + s); });
        } else {
          const Halo halo = haloOf(p, at, gathered ? firstItem(group) : 0);
          const auto voxel = [&](int s) {
            return gathered ? voxelOf(p, halo, s) : lds(voxels + s);
          };
          if (Gradient && p.grad.raw)
            fillFormed<T>(p, at.sample, chunk, haloAt(step), voxel);
          else
            fillHalo<T>(p, at.sample, chunk, haloAt(step), voxel);
        }
      }
      cpAsyncCommit();
    };

    Accumulators<T, Depth, Columns> acc;
    RVX_UNROLL
    for (int d = 0; d < Depth; ++d) RVX_UNROLL
    for (int row = 0; row < kTileRows; ++row) RVX_UNROLL
    for (int c = 0; c < Columns; ++c)
      acc[d][row][c][0] = acc[d][row][c][1] = acc[d][row][c][2] = acc[d][row][c][3] = 0.0f;

    if (begin < end) {
      fetch(begin);
      if (packed) fillPacked<T>(p, at, haloOf(p, at, 0), raw, haloes);
    }
    for (int step = begin; step < end; ++step) {
      cpAsyncWait<0>();
      syncBlock();  // this step's data are there; all have done with the buffers that the next step's go to
      if (step + 1 < end) {
        fetch(step + 1);
      } else if constexpr (Up) {
        // All that is made of the coarse voxels is.
        if (tile + 1 < endTile)
          stageCoarse<T>(p, placeOf(p, static_cast<unsigned>(tile + 1)), coarse);
      }
      const int group = step % t.groups;
      multiplyTile<T, Shared, Depth, Columns>(
          acc, haloAt(step) + lane.slot, weightsAt(step) + lane.weight,
          offsets + 2 * firstItem(group) + lane.plane, itemsOf(group), t.tapsW, itemUnits,
          lane.rowSlots, lane.patchSlots);
    }

    if (t.splits > 1) {
      storeTile<T, Depth, Columns>(p, at, lane, acc, firstColumn + lane.column(), p.ySize * split);
      continue;
    }
    if constexpr (Gradient) {
      storeTile<T, Depth, Columns>(p, at, lane, acc, firstColumn + lane.column(), 0);
      if constexpr (Columns < 8) {
        if (p.grad.below)
          storeGradientSums<T, Depth, Columns>(p, at, lane, acc, firstColumn,
                                               reinterpret_cast<float2*>(haloes));
      }
      continue;
    }
    addBias<T, Depth, Columns>(p, acc, firstColumn + lane.column());
    storeTile<T, Depth, Columns>(p, at, lane, acc, firstColumn + lane.column(), 0);
    // Of rows that are shared alone: elsewhere its registers spill.
    if (Shared && p.pooled)
      poolTile<T, Depth, Columns>(p, at, lane, acc, firstColumn + lane.column());
    if (!p.moments) continue;
    Moments<float> state[Columns][2];
    addMoments<T, Depth, Columns>(p, at, lane, acc, state);
    syncBlock();  // the haloes are read
    storeMoments<T, Columns>(p, at.sample, at.part, lane, firstColumn, state,
                             reinterpret_cast<float*>(haloes));
  }
}

template <class T, bool Shared, int Depth, int Columns>
RVX_KERNEL_BLOCKS(32 * kTileWarps, Columns == 8 ? 2 : 3)
multiply(TensorPass p) {
  multiplyTiles<T, Shared, Depth, Columns, TensorForm::plain>(p);
}

template <class T, bool Shared, int Depth, int Columns>
RVX_KERNEL_BLOCKS(32 * kTileWarps, Columns == 8 ? 2 : 3)
multiplyGradient(TensorPass p) {
  multiplyTiles<T, Shared, Depth, Columns, TensorForm::gradient>(p);
}

using TensorKernel = void (*)(TensorPass);
template <class T>
TensorKernel kernelOf(const TensorTile& t) {
  if (t.columns == 2) return t.rowsShared ? &multiply<T, true, 2, 2> : &multiply<T, false, 2, 2>;
  if (t.columns == 4) return t.rowsShared ? &multiply<T, true, 1, 4> : &multiply<T, false, 1, 4>;
  return t.rowsShared ? &multiply<T, true, 1, 8> : &multiply<T, false, 1, 8>;
}
template <class T>
TensorKernel gradientKernelOf(const TensorTile& t) {
  if (t.columns == 2)
    return t.rowsShared ? &multiplyGradient<T, true, 2, 2> : &multiplyGradient<T, false, 2, 2>;
  if (t.columns == 4)
    return t.rowsShared ? &multiplyGradient<T, true, 1, 4> : &multiplyGradient<T, false, 1, 4>;
  return t.rowsShared ? &multiplyGradient<T, true, 1, 8> : &multiplyGradient<T, false, 1, 8>;
}

// Made in files of their own, so that they are compiled side by side.
TensorKernel bf16Kernel(const TensorTile& t);
TensorKernel f16Kernel(const TensorTile& t);
// Of tiles that make their first source, and of gradients between norms.
TensorKernel upKernel(DType operand, const TensorTile& t);
TensorKernel bf16GradientKernel(const TensorTile& t);
TensorKernel f16GradientKernel(const TensorTile& t);

}  // namespace rvx::cuda
