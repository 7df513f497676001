// A list of tensors cut into chunks, so that one parallel loop serves hundreds of small parameters
// and a few large ones.
#pragma once
#include <algorithm>
#include <cstdint>
#include <vector>

#include "core/pool.h"

namespace rvx::cpu {

struct TensorChunk {
  size_t tensor;
  int64_t begin, end;
};

template <class List>
std::vector<TensorChunk> chunksOf(const List& tensors) {
  constexpr int64_t kGrain = 1 << 15;
  std::vector<TensorChunk> chunks;
  for (size_t i = 0; i < tensors.size(); ++i) {
    const int64_t size = tensors[i].shape().size();
    for (int64_t at = 0; at < size; at += kGrain)
      chunks.push_back({i, at, std::min(at + kGrain, size)});
  }
  return chunks;
}

// Calls body(chunk, its number) for all, in parallel.
template <class Body>
void forChunks(const std::vector<TensorChunk>& chunks, Body&& body) {
  parallelFor(static_cast<int64_t>(chunks.size()),
              [&](int64_t i) { body(chunks[static_cast<size_t>(i)], static_cast<size_t>(i)); });
}

}  // namespace rvx::cpu
