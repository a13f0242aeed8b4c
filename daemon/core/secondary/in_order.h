// What a follower was sent and has not applied (protocols A and B), and in which order it may be. A change says up to which position all have
// to be applied before it: what its client may have known to be written when it asked. So at each moment, also when the Primary is gone and
// when this daemon is killed, the copy is what the Primary's was at some earlier moment, with some of what was under way just then.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>

#include "core/secondary/pending_write.h"

namespace lockstep {

class InOrder {
 public:
  // Positions grow.
  void add(uint64_t position, uint64_t after, const PendingWrite& write) {
    entries_.push_back({position, after, write, false, false});
  }
  void applied(uint64_t position);
  // Hands over all that may begin by their order, and that `ready` lets begin; `submit` may call applied().
  void pump(const std::function<bool(const PendingWrite&)>& ready, const std::function<void(const PendingWrite&)>& submit);
  // What was not begun, which is forgotten.
  std::deque<PendingWrite> give_up();

  bool empty() const { return entries_.empty(); }
  size_t size() const { return entries_.size(); }
  size_t waiting() const;  // not begun
  uint64_t newest() const { return entries_.empty() ? 0 : entries_.back().position; }
  // All up to this position are applied.
  bool reached(uint64_t position) const { return entries_.empty() || entries_.front().position > position; }

 private:
  struct Entry {
    uint64_t position;
    uint64_t after;
    PendingWrite write;
    bool begun;
    bool applied;
  };
  std::deque<Entry> entries_;  // the first one is not applied
};

}  // namespace lockstep
