// Per-channel loops over channels-last data as flat loops over vectors.
//
// A tensor [voxels, C] repeats its channel pattern every C floats, which is no multiple of a vector
// for most C. The loops here walk rows of `period` floats instead, a multiple of C and, below 128
// channels, of 16: tables of one value per channel are repeated to that length once, sums are kept
// for each place of the row and folded by channel at the end. The period depends on C alone, so sums
// have the same order for every instruction set and number of threads.
#pragma once
#include <cstdint>

#include "core/isa.h"

namespace rvx::cpu {

inline int64_t channelPeriod(int64_t channels) {
  if (channels >= 128) return channels;
  int64_t period = channels;
  while (period < 128 || period % 16 != 0) period += channels;
  return period;
}

// Voxels of a chunk of about `floats` values: whole periods, at least one.
inline int64_t channelChunk(int64_t channels, int64_t floats) {
  const int64_t period = channelPeriod(channels);
  return (floats / period > 0 ? floats / period : 1) * (period / channels);
}

// Writes value(c) for every channel, repeated over the period.
template <class Value>
void repeatChannels(float* table, int64_t channels, Value&& value) {
  const int64_t period = channelPeriod(channels);
  for (int64_t c = 0; c < channels; ++c) table[c] = static_cast<float>(value(c));
  for (int64_t j = channels; j < period; ++j) table[j] = table[j - channels];
}

// Sums places c, c + C, c + 2C ... of a row into sums[c].
inline void foldChannels(const float* row, int64_t channels, double* sums) {
  const int64_t period = channelPeriod(channels);
  for (int64_t c = 0; c < channels; ++c) sums[c] = 0;
  for (int64_t j = 0; j < period; j += channels)
    for (int64_t c = 0; c < channels; ++c) sums[c] += static_cast<double>(row[j + c]);
}

}  // namespace rvx::cpu
