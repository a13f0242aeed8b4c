#include "core/write_path/range_gate.h"

#include <algorithm>

#include "base/check.h"

namespace lockstep {

bool RangeGate::enter(OpId op, const Range& range, Mode mode) {
  Entry entry{op, range, mode, 0};
  for (const Entry& earlier : entries_) entry.blockers += conflict(earlier, entry) ? 1 : 0;
  entries_.push_back(entry);
  return entry.blockers == 0;
}

void RangeGate::leave(OpId op, std::vector<OpId>& runnable) {
  const auto at = std::find_if(entries_.begin(), entries_.end(), [op](const Entry& entry) { return entry.op == op; });
  CHECK(at != entries_.end());
  const Entry gone = *at;
  for (auto later = entries_.erase(at); later != entries_.end(); ++later) {
    if (!conflict(gone, *later)) continue;
    CHECK(later->blockers > 0);
    if (--later->blockers == 0) runnable.push_back(later->op);
  }
}

}  // namespace lockstep
