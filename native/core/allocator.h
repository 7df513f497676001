// Caching allocator of one device.
//
// Freed blocks are kept and given out again, so a training loop reaches a steady state without
// asking the system. The cache never makes the footprint exceed the peak of live bytes: before
// asking for new memory, cached blocks that would take it over that peak are returned. Where giving
// back is dear (keepAll: on a GPU it waits for all work under way), blocks are kept until memory or
// the limit runs out. When a limit is set, the cache goes first; then OutOfMemory.
#pragma once
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <mutex>

namespace rvx {

// Where an allocator gets its memory. Implementations return nullptr when there is none.
class MemorySource {
 public:
  virtual ~MemorySource() = default;
  virtual void* allocate(size_t bytes) = 0;
  virtual void release(void* data, size_t bytes) = 0;
  // Asked where there is no memory left though this allocator's cache is empty: whether others gave some back.
  virtual bool makeRoom() { return false; }
};

struct MemoryStatistics {
  uint64_t live = 0, cached = 0, peak = 0, limit = std::numeric_limits<uint64_t>::max();
};

class Allocator {
 public:
  explicit Allocator(MemorySource& source) : source_(source) {}
  ~Allocator();
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // brief: given back within one operation.
  enum class Use { lasting, brief };
  // A block of at least `bytes`, aligned to 64, contents undefined; `*capacity` receives its real
  // size, to be handed back to free(). Throws OutOfMemory.
  void* allocate(size_t bytes, size_t* capacity, Use use = Use::lasting);
  void free(void* data, size_t capacity);

  MemoryStatistics statistics() const;
  void setLimit(uint64_t bytes);
  void resetPeak();
  void releaseCache();
  // Unless it is in use just now; whether anything was given back. For another allocator that needs the room.
  bool tryReleaseCache();
  // Before the first allocation.
  void keepAll() { keepAll_ = true; }

 private:
  void shrinkCache(uint64_t allowed);

  MemorySource& source_;
  bool keepAll_ = false;
  mutable std::mutex mutex_;
  std::multimap<size_t, void*> cache_;
  MemoryStatistics stats_;
};

// Bytes of all live blocks of all devices of the process: what a leak test counts.
uint64_t liveBytesOfProcess();

}  // namespace rvx
