// What one NBD client has changed lately, and by which of its connections: to find out whether a change that comes late was sent again by a
// younger connection, and is old (docs/nbd.md, "Old writes").
#pragma once

#include <cstdint>
#include <deque>

#include "base/range.h"

namespace lockstep {

// Numbers whatever comes to a ClientPort, in order: connections, requests and operations.
using ClientSequence = uint64_t;

class ClientHistory {
 public:
  static constexpr size_t kKept = 1024;

  // `connection`: its number, which says when it was accepted. `range`: of the resource's addresses.
  void changed(ClientSequence now, ClientSequence connection, const Range& range) {
    if (kept_.size() == kKept) kept_.pop_front();
    kept_.push_back({now, connection, range});
    if (connection > youngest_) youngest_ = connection;
  }

  // Whether a connection that was accepted after `since` has changed something of `range`. Where it cannot be known any more: yes.
  bool overtaken(ClientSequence since, const Range& range) const {
    if (youngest_ <= since) return false;  // as good as always
    return other_changes(since, range, [since](ClientSequence connection) { return connection > since; });
  }
  // Or any connection but `own`, whenever it was accepted.
  bool changed_elsewhere(ClientSequence own, ClientSequence since, const Range& range) const {
    return other_changes(since, range, [own](ClientSequence connection) { return connection != own; });
  }

 private:
  struct Change {
    ClientSequence at;
    ClientSequence connection;
    Range range;
  };
  template <class Counts>
  bool other_changes(ClientSequence since, const Range& range, Counts counts) const {
    if (kept_.size() == kKept && kept_.front().at > since) return true;
    for (auto at = kept_.rbegin(); at != kept_.rend() && at->at > since; ++at) {
      if (counts(at->connection) && at->range.overlaps(range)) return true;
    }
    return false;
  }

  std::deque<Change> kept_;
  ClientSequence youngest_ = 0;
};

}  // namespace lockstep
