// Ballots of the tenure register (CASPaxos: Rystsov, "CASPaxos: Replicated State Machines without logs", 2018).
// (counter, node, start): no two rounds ever share one, because a node's start counter grows durably with each start of its
// daemon and the counter grows within a start.
#pragma once

#include <compare>
#include <cstdint>

#include "base/ids.h"

namespace lockstep {

struct Ballot {
  uint64_t counter = 0;  // 0: no ballot
  Seat node;
  uint64_t start = 0;

  bool none() const { return counter == 0; }
  friend auto operator<=>(const Ballot&, const Ballot&) = default;
};

}  // namespace lockstep
