// A stable radix sort of 32-bit keys >= 0 with values of a type V, highest key first: eight bits a turn, lowest first (Satish, Harris,
// Garland: Designing efficient sorting algorithms for manycore GPUs, IPDPS 2009).
//
// A turn: how often each digit comes in each tile; a prefix sum over digits, then tiles; then every pair goes to its place, which
// is its digit's in its tile plus the number of equal digits before it: those of warps before by a table, those of lanes before by
// ballots. Bytes a turn: 3 reads and 2 writes of 4 bytes a pair, and one counter for every four pairs.
#pragma once
#include <utility>

#include "cuda/scan.h"

namespace rvx::cuda {

constexpr int kSortThreads = 256;
constexpr int kSortWarps = kSortThreads / 32;
constexpr int kSortTile = 1024;
constexpr int kDigits = 256;

// Digits come in falling order.
RVX_DEVICE int sortDigit(int32_t key, int shift) { return kDigits - 1 - (key >> shift & 255); }

template <class K>
RVX_KERNEL(kSortThreads)
sortCount(const K* keys, int64_t count, int shift, int32_t* counts) {
  auto* found = sharedMemory<int32_t>();
  sts(found + threadIdx.x, int32_t{0});
  syncBlock();
  const int64_t tile = int64_t{blockIdx.x} * kSortTile;
  for (int64_t i = tile + threadIdx.x; i < tile + kSortTile && i < count; i += kSortThreads)
    atomicAdd(found + sortDigit(ld(keys + i), shift), int32_t{1});
  syncBlock();
  st(counts + int64_t{threadIdx.x} * gridDim.x + blockIdx.x, lds(found + threadIdx.x));
}

template <class V>
RVX_KERNEL(kSortThreads)
sortScatter(const int32_t* keys, const V* values, int64_t count, int shift, const int32_t* places,
            int32_t* outKeys, V* outValues) {
  auto* next = sharedMemory<int32_t>();  // of each digit
  auto* ofWarp = next + kDigits;         // [warp][digit]: how many, then the first one's place
  const auto t = static_cast<int>(threadIdx.x), lane = t % 32, warp = t / 32;
  sts(next + t, ld(places + int64_t{t} * gridDim.x + blockIdx.x));
  const int64_t tile = int64_t{blockIdx.x} * kSortTile;
  for (int64_t first = tile; first < tile + kSortTile && first < count; first += kSortThreads) {
    for (int w = 0; w < kSortWarps; ++w) sts(ofWarp + w * kDigits + t, int32_t{0});
    syncBlock();
    const int64_t i = first + t;
    const bool here = i < count;
    const int32_t key = here ? ld(keys + i) : 0;
    const int digit = sortDigit(key, shift);
    uint32_t equal = ballot(here);
    for (int bit = 0; bit < 8; ++bit) {
      const bool one = digit >> bit & 1;
      const uint32_t ones = ballot(one);
      equal &= one ? ones : ~ones;
    }
    const int before = popcount(equal & ((1u << lane) - 1));
    if (here && before == 0) sts(ofWarp + warp * kDigits + digit, int32_t{popcount(equal)});
    syncBlock();
    int32_t place = lds(next + t);
    for (int w = 0; w < kSortWarps; ++w) {
      const int32_t n = lds(ofWarp + w * kDigits + t);
      sts(ofWarp + w * kDigits + t, place);
      place += n;
    }
    sts(next + t, place);
    syncBlock();
    if (here) {
      const int32_t to = lds(ofWarp + warp * kDigits + digit) + before;
      st(outKeys + to, key);
      st(outValues + to, ld(values + i));
    }
    syncBlock();
  }
}

template <class V>
struct SortPairs {
  int32_t* keys;
  V* values;
};

// Sorts keys and values [count] by the lowest `bits` bits of the keys; the two pairs of arrays are written in turn, and the one
// with the result is returned.
template <class V>
SortPairs<V> radixSort(Context& cx, SortPairs<V> from, SortPairs<V> to, int64_t count, int bits) {
  const unsigned tiles = blocksFor(count, kSortTile);
  const Workspace space(cx, (size_t{tiles} * kDigits + 1) * sizeof(int32_t));
  auto* counts = space.data<int32_t>();
  auto* total = counts + size_t{tiles} * kDigits;
  for (int shift = 0; shift < bits; shift += 8) {
    launch(cx, "sort/count", tiles, kSortThreads, kDigits * sizeof(int32_t), &sortCount<int32_t>,
           from.keys, count, shift, counts);
    exclusiveScan(cx, counts, int64_t{tiles} * kDigits, counts, total);
    launch(cx, "sort/scatter", tiles, kSortThreads, (1 + kSortWarps) * kDigits * sizeof(int32_t),
           &sortScatter<V>, from.keys, from.values, count, shift, counts, to.keys, to.values);
    std::swap(from, to);
  }
  return from;
}

}  // namespace rvx::cuda
