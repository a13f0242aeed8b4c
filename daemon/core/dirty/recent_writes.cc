#include "core/dirty/recent_writes.h"

#include "base/mutation.h"

namespace lockstep {

void RecentWrites::add(uint64_t position, const Range& range) {
  if (writes_.size() >= most_) {
    forgotten_ = writes_.front().position;
    complete_ = MUTANT(forgotten_writes_unnoticed);
    writes_.pop_front();
  }
  writes_.push_back({position, range});
}

void RecentWrites::settled(uint64_t position) {
  while (!writes_.empty() && writes_.front().position <= position) writes_.pop_front();
  complete_ = complete_ || position >= forgotten_;
}

void RecentWrites::clear() {
  writes_.clear();
  complete_ = true;
}

}  // namespace lockstep
