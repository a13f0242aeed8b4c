// Orders operations whose ranges overlap: they run one after another, in the order in which they came, so that every copy
// applies them in one order. Reads and resync share; changes exclude.
//
// A read waits for overlapping changes that are not complete: otherwise it could return bytes that a later promotion lacks (P6).
// A change waits for overlapping reads for the same reason, seen from the other side.
#pragma once

#include <cstdint>
#include <vector>

#include "base/ids.h"
#include "base/range.h"

namespace lockstep {

class RangeGate {
 public:
  enum class Mode : uint8_t { shared, exclusive };

  // True if the operation may run now; otherwise its id is among those that a later leave() returns.
  bool enter(OpId op, const Range& range, Mode mode);
  // The operation is over, or gives up waiting. Appends those that may run now, oldest first.
  void leave(OpId op, std::vector<OpId>& runnable);
  size_t size() const { return entries_.size(); }

 private:
  struct Entry {
    OpId op;
    Range range;
    Mode mode;
    uint32_t blockers;  // earlier entries that conflict
  };
  static bool conflict(const Entry& a, const Entry& b) {
    return (a.mode == Mode::exclusive || b.mode == Mode::exclusive) && a.range.overlaps(b.range);
  }
  std::vector<Entry> entries_;  // in order of arrival; bounded by CoreConfig, scanned because it is short and hot
};

}  // namespace lockstep
