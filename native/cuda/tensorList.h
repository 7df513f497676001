// One launch over a list of tensors, from hundreds of small ones to a few large ones.
//
// Tensors are cut into chunks of kListChunk values, a block each. Tensor t's chunks are the blocks first[t] .. first[t + 1] - 1; the
// threads of a block look for theirs together, so that it costs one round of loads, and the host uploads one line a tensor instead
// of one a chunk. Lines hold the tensor's size and its address in each of N parallel lists (parameter, gradient, moments).
#pragma once
#include <type_traits>
#include <vector>

#include "cuda/launch.h"
#include "cuda/packet.h"

namespace rvx::cuda {

constexpr int kListThreads = 256;
// Four packets of four values a thread: with three or four lists at least 32 KiB of loads are under way on a multiprocessor.
constexpr int kListPackets = 4;
constexpr int64_t kListChunk = int64_t{kListThreads} * 4 * kListPackets;

template <int N>
struct ListLine {
  int64_t size;
  float* data[N];
  int32_t first, end;  // its blocks
};

template <int N>
class TensorList {
 public:
  // All lists have the tensors of the first, with the same sizes.
  template <class First, class... Rest>
  TensorList(Context& cx, const First& list, const Rest&... rest)
      : lines_(makeLines(list, rest...)), table_(cx, lines_) {}
  unsigned blocks() const { return lines_.empty() ? 0 : static_cast<unsigned>(lines_.back().end); }
  const ListLine<N>* lines() const { return table_.data(); }
  int count() const { return static_cast<int>(lines_.size()); }

 private:
  template <class First, class... Rest>
  static std::vector<ListLine<N>> makeLines(const First& list, const Rest&... rest) {
    static_assert(sizeof...(Rest) + 1 == N, "as many lists as a line has addresses");
    std::vector<ListLine<N>> lines;
    int64_t chunks = 0;
    for (size_t i = 0; i < list.size(); ++i) {
      const int64_t size = list[i].shape().size();
      ListLine<N> line{size, {address(list[i]), address(rest[i])...}, 0, 0};
      line.first = static_cast<int32_t>(blocksFor(chunks, 1));
      chunks += (size + kListChunk - 1) / kListChunk;
      line.end = static_cast<int32_t>(blocksFor(chunks, 1));
      lines.push_back(line);
    }
    return lines;
  }
  template <class T>
  static float* address(const T& x) {
    return x.tensor.template data<float>();
  }

  const std::vector<ListLine<N>> lines_;
  const DeviceTable<ListLine<N>> table_;
};

// This block's part of a list: where its values begin in each tensor, and how many there are. By all threads of the block;
// `scratch` is shared memory for it.
template <int N>
struct ListPart {
  int64_t count;
  float* data[N];
};
template <int N>
RVX_DEVICE ListPart<N> ldPart(const ListLine<N>* lines, int count, ListPart<N>* scratch) {
  const auto block = static_cast<int32_t>(blockIdx.x);
  for (auto t = static_cast<int>(threadIdx.x); t < count; t += kListThreads) {
    const ListLine<N>* line = lines + t;
    const int32_t first = ld(&line->first);
    if (block < first || block >= ld(&line->end)) continue;
    const int64_t at = (block - first) * kListChunk;
    const int64_t left = ld(&line->size) - at;
    sts(&scratch->count, left < kListChunk ? left : kListChunk);
    RVX_UNROLL
    for (int k = 0; k < N; ++k) sts(&scratch->data[k], ld(&line->data[k]) + at);
  }
  syncBlock();
  ListPart<N> part;
  part.count = lds(&scratch->count);
  RVX_UNROLL
  for (int k = 0; k < N; ++k) part.data[k] = lds(&scratch->data[k]);
  return part;
}

// Calls body(place of this thread's packet, its length) for all packets of the part; Body takes the length as a type, so that it
// is known when compiling: 4, or 1 for the values of the packet that the tensor's end cuts.
template <class Body>
RVX_DEVICE void forPackets(int64_t count, Body&& body) {
  const auto values = static_cast<int>(count);
  RVX_UNROLL
  for (int i = 0; i < kListPackets; ++i) {
    const int at = (i * kListThreads + static_cast<int>(threadIdx.x)) * 4;
    if (at + 4 <= values)
      body(at, std::integral_constant<int, 4>{});
    else
      for (int k = at; k < values; ++k) body(k, std::integral_constant<int, 1>{});
  }
}

}  // namespace rvx::cuda
