#include "core/allocator.h"

#include <algorithm>
#include <atomic>
#include <string>

#include "core/error.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>

#include <cstring>
#endif

namespace rvx {
namespace {

#if defined(__SANITIZE_ADDRESS__)
// A caching allocator hides faults from AddressSanitizer. So cached blocks and what lies between the
// bytes asked for and the block's end are marked as no one's, and new blocks hold no zeros that an
// operation could count on (0xff is NaN in every float type).
void markCached(void* data, size_t capacity) { ASAN_POISON_MEMORY_REGION(data, capacity); }
void markReleased(void* data, size_t capacity) { ASAN_UNPOISON_MEMORY_REGION(data, capacity); }
void markGiven(void* data, size_t bytes, size_t capacity) {
  ASAN_UNPOISON_MEMORY_REGION(data, capacity);
  std::memset(data, 0xff, bytes);
  ASAN_POISON_MEMORY_REGION(static_cast<char*>(data) + bytes, capacity - bytes);
}
#else
void markCached(void*, size_t) {}
void markReleased(void*, size_t) {}
void markGiven(void*, size_t, size_t) {}
#endif

std::atomic<uint64_t> processLive{0};

size_t roundUp(size_t bytes) {
  const size_t step = bytes < (size_t{1} << 20) ? 256 : (size_t{1} << 16);
  return std::max<size_t>(step, (bytes + step - 1) / step * step);
}

}  // namespace

uint64_t liveBytesOfProcess() { return processLive.load(); }

Allocator::~Allocator() { releaseCache(); }

void* Allocator::allocate(size_t bytes, size_t* capacity, Use use) {
  // Far above any machine, far below where the sums here would overflow.
  if (bytes > size_t{1} << 56)
    throw Error("OutOfMemory", "Needed " + std::to_string(bytes) + " bytes");
  const size_t wanted = roundUp(bytes);
  std::lock_guard<std::mutex> lock(mutex_);
  void* data = nullptr;
  size_t size = wanted;
  // A cached block may be up to an eighth larger than asked for; for brief use by any size, as long as
  // that sets no new peak and the new block would make the cache give something back.
  auto fit = cache_.lower_bound(wanted);
  const bool found = fit != cache_.end();
  const bool close = found && fit->first <= wanted + wanted / 8;
  const bool full = !keepAll_ && stats_.live + stats_.cached + wanted > stats_.peak;
  const bool borrowed =
      found && use == Use::brief && full && stats_.live + fit->first <= stats_.peak;
  if ((close || borrowed) && stats_.live + fit->first <= stats_.limit) {
    size = fit->first;
    data = fit->second;
    cache_.erase(fit);
    stats_.cached -= size;
  } else {
    if (stats_.live + wanted > stats_.limit)
      throw Error("OutOfMemory", "Needed " + std::to_string(wanted) + " bytes with " +
                                     std::to_string(stats_.live) + " in use, over the limit of " +
                                     std::to_string(stats_.limit));
    const uint64_t peak = std::max(stats_.peak, stats_.live + wanted);
    shrinkCache((keepAll_ ? stats_.limit : std::min(peak, stats_.limit)) - stats_.live - wanted);
    data = source_.allocate(wanted);
    if (!data) {
      shrinkCache(0);
      data = source_.allocate(wanted);
    }
    if (!data && source_.makeRoom()) data = source_.allocate(wanted);
    if (!data)
      throw Error("OutOfMemory", "The device has no " + std::to_string(wanted) +
                                     " bytes left, with " + std::to_string(stats_.live) +
                                     " in use");
  }
  stats_.live += size;
  stats_.peak = std::max(stats_.peak, stats_.live);
  processLive += size;
  *capacity = size;
  markGiven(data, bytes, size);
  return data;
}

void Allocator::free(void* data, size_t capacity) {
  if (!data) return;
  std::lock_guard<std::mutex> lock(mutex_);
  stats_.live -= capacity;
  processLive -= capacity;
  markCached(data, capacity);
  cache_.emplace(capacity, data);
  stats_.cached += capacity;
  if (stats_.live + stats_.cached > stats_.limit)
    shrinkCache(stats_.limit > stats_.live ? stats_.limit - stats_.live : 0);
}

void Allocator::shrinkCache(uint64_t allowed) {
  while (stats_.cached > allowed) {
    // The smallest block that is enough: to give back a large one for the sake of a few bytes would have
    // it mapped and cleared anew at the next use.
    auto block = cache_.lower_bound(static_cast<size_t>(stats_.cached - allowed));
    if (block == cache_.end()) --block;
    markReleased(block->second, block->first);
    source_.release(block->second, block->first);
    stats_.cached -= block->first;
    cache_.erase(block);
  }
}

MemoryStatistics Allocator::statistics() const {
  std::lock_guard<std::mutex> lock(mutex_);
  return stats_;
}

void Allocator::setLimit(uint64_t bytes) {
  std::lock_guard<std::mutex> lock(mutex_);
  stats_.limit = bytes;
  if (stats_.live + stats_.cached > bytes)
    shrinkCache(bytes > stats_.live ? bytes - stats_.live : 0);
}

void Allocator::resetPeak() {
  std::lock_guard<std::mutex> lock(mutex_);
  stats_.peak = stats_.live;
}

void Allocator::releaseCache() {
  std::lock_guard<std::mutex> lock(mutex_);
  shrinkCache(0);
}

bool Allocator::tryReleaseCache() {
  std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock || stats_.cached == 0) return false;
  shrinkCache(0);
  return true;
}

}  // namespace rvx
