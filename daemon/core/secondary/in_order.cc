#include "core/secondary/in_order.h"

#include <algorithm>

#include "base/mutation.h"

namespace lockstep {

void InOrder::applied(uint64_t position) {
  const auto at = std::lower_bound(entries_.begin(), entries_.end(), position,
                                   [](const Entry& entry, uint64_t wanted) { return entry.position < wanted; });
  if (at != entries_.end() && at->position == position) at->applied = true;
  while (!entries_.empty() && entries_.front().applied) entries_.pop_front();
}

void InOrder::pump(const std::function<bool(const PendingWrite&)>& ready,
                   const std::function<void(const PendingWrite&)>& submit) {
  std::deque<PendingWrite> now;
  for (Entry& entry : entries_) {
    // What an entry waits for, those behind it wait for as well: `after` never falls.
    if (entry.after >= entries_.front().position && !MUTANT(follower_out_of_order)) break;
    if (entry.begun || !ready(entry.write)) continue;
    entry.begun = true;
    now.push_back(entry.write);
  }
  for (const PendingWrite& write : now) submit(write);
}

std::deque<PendingWrite> InOrder::give_up() {
  std::deque<PendingWrite> left;
  for (Entry& entry : entries_) {
    if (!entry.begun) left.push_back(entry.write);
  }
  std::erase_if(entries_, [](const Entry& entry) { return !entry.begun; });
  return left;
}

size_t InOrder::waiting() const {
  return static_cast<size_t>(std::count_if(entries_.begin(), entries_.end(), [](const Entry& entry) { return !entry.begun; }));
}

}  // namespace lockstep
