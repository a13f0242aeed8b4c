// The configuration gains or loses data nodes and witnesses while the resource runs (AdminOp::change_nodes).
//
// Who goes is first given up by the tenure, as long as it can still vote for that: its copy leaves the set and its voter its seat; only the Primary
// does so. A data node is taken out elsewhere only after that; a witness at once, whose vote is nobody else's affair. Then this node forgets, durably, that it ever kept account of that copy: when the node comes back it is copied in full. Who comes is
// in doubt everywhere. It becomes a voter when every data node has it in its configuration (goals.cc): one that knows it not could neither
// ask it nor count it.
//
// Configurations may differ from node to node meanwhile. That costs votes and never more: what a node knows of another copy is its own affair,
// and where one of two does not remember the other's disk, the resync between them is a full one (docs/adr/0017).
#pragma once

#include <optional>

#include "base/ids.h"
#include "core/reason.h"

namespace lockstep {

class ReplicaImpl;

class NodeChange {
 public:
  explicit NodeChange(ReplicaImpl& replica) : r_(replica) {}

  void begin(SeatSet wanted);
  // Reason::none: it is so now. Nothing: not yet.
  std::optional<Reason> pump();
  void end();
  // Of those who are to go, somebody's vote is needed by those who stay.
  bool waits_for_a_vote() const;
  // Who is to lose seat and membership.
  bool leaving(Seat seat) const { return leaving_.contains(seat); }

  void tell_peers();  // which data nodes this node's configuration has
  // Every data node that is to stay has it in its configuration, and it has them, as far as they have said.
  bool known_everywhere(Seat seat) const;

 private:
  bool named(SeatSet seats) const;
  bool forgotten(SeatSet copies);
  void take_over();

  ReplicaImpl& r_;
  SeatSet wanted_;
  SeatSet leaving_;
  uint64_t command_ = 0;  // how many there have been: what an earlier one had recorded says nothing of this one
  bool recording_ = false;
  bool recorded_ = false;
};

}  // namespace lockstep
