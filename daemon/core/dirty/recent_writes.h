// What the Primary wrote since everything was last flushed on every member: when a member is lost, just these blocks are in doubt there,
// and not the whole of every extent that is hot. It lives in memory: after a crash of the Primary the intent map is all that is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>

#include "base/range.h"

namespace lockstep {

class RecentWrites {
 public:
  // `most`: how many it remembers (CoreConfig::recent_writes).
  explicit RecentWrites(size_t most) : most_(most) {}
  // Positions grow.
  void add(uint64_t position, const Range& range);
  // Everything up to this position is on stable storage of every member.
  void settled(uint64_t position);
  void clear();
  // False while some of what is not settled was too much to be remembered: then only the intent map knows.
  bool complete() const { return complete_; }

  template <typename Each>
  void for_each(Each each) const {
    for (const Write& write : writes_) each(write.range);
  }
  size_t size() const { return writes_.size(); }

 private:
  struct Write {
    uint64_t position;
    Range range;
  };
  size_t most_;
  std::deque<Write> writes_;
  uint64_t forgotten_ = 0;  // the newest position that is no longer here
  bool complete_ = true;
};

}  // namespace lockstep
