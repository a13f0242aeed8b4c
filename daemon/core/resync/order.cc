#include "core/resync/order.h"

#include <algorithm>

namespace lockstep {

namespace {
constexpr size_t kMostSorted = size_t{1} << 20;  // 4 TiB; beyond that sorting would hold everything else up
}  // namespace

void ResyncOrder::begin_pass(const DirtyMaps& maps, Seat peer, bool by_age) {
  const BitVector& dirty = maps.of(peer);
  blocks_ = dirty.size();
  cursor_ = 0;
  place_ = 0;
  extents_.clear();
  by_age_ = by_age;
  if (!by_age) return;
  for (uint64_t block = dirty.next_set(0); block < blocks_ && by_age_;) {
    const uint64_t extent = block / kBlocksPerExtent;
    extents_.push_back(static_cast<uint32_t>(extent));
    by_age_ = extents_.size() <= kMostSorted;
    block = dirty.next_set((extent + 1) * kBlocksPerExtent);
  }
  const auto older = [&](uint32_t a, uint32_t b) { return maps.last_written(peer, a) < maps.last_written(peer, b); };
  if (by_age_) std::stable_sort(extents_.begin(), extents_.end(), older);
}

uint64_t ResyncOrder::next(const BitVector& dirty) {
  if (!by_age_) return cursor_ = dirty.next_set(cursor_);
  for (; place_ < extents_.size(); ++place_, cursor_ = 0) {
    const uint64_t begin = extents_[place_] * kBlocksPerExtent;
    const uint64_t end = std::min(begin + kBlocksPerExtent, blocks_);
    cursor_ = dirty.next_set(std::max(cursor_, begin), end);
    if (cursor_ < end) return cursor_;
  }
  return blocks_;
}

void ResyncOrder::pass(uint64_t end) {
  cursor_ = end;
  if (!by_age_ || (end % kBlocksPerExtent != 0 && end < blocks_)) return;
  ++place_;
  cursor_ = 0;
}

void ResyncOrder::pass_all() {
  cursor_ = blocks_;
  place_ = extents_.size();
}

bool ResyncOrder::soon(size_t place, uint64_t extent, uint64_t reach) const {
  if (!by_age_) return true;
  const size_t first = std::min(place + 1, extents_.size());
  const size_t end = std::min(first + static_cast<size_t>(reach), extents_.size());
  return std::find(extents_.begin() + static_cast<ptrdiff_t>(first), extents_.begin() + static_cast<ptrdiff_t>(end), extent) !=
         extents_.begin() + static_cast<ptrdiff_t>(end);
}

}  // namespace lockstep
