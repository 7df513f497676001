// Points in time in a device's queue, for benches: a GPU's own events, on the CPU the monotonic clock. Devices that have one derive
// from it.
#pragma once
#include <vector>

namespace rvx {

class Stopwatch {
 public:
  virtual ~Stopwatch() = default;
  // Notes the moment when all work handed over before is done. Queue thread only.
  virtual void mark() = 0;
  // Milliseconds from the first mark to each; forgets them. Only when the queue has been drained.
  virtual std::vector<double> takeMarks() = 0;
};

}  // namespace rvx
