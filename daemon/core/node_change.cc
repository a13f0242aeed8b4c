#include "core/node_change.h"

#include <algorithm>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {

SeatSet data_nodes_of(SeatSet seats) {
  SeatSet nodes;
  for (Seat seat : seats) {
    if (!seat.is_witness()) nodes.insert(seat);
  }
  return nodes;
}

}  // namespace

void NodeChange::begin(SeatSet wanted) {
  end();
  ++command_;
  wanted_ = wanted | SeatSet{r_.self()};
}

void NodeChange::end() {
  wanted_ = leaving_ = {};
  recording_ = recorded_ = false;
}

// By the tenure that this node has adopted, as a member, a voter, or its Primary.
bool NodeChange::named(SeatSet seats) const {
  const auto& tenure = r_.membership.adopted();
  if (!tenure) return false;
  const auto among = [&seats](const Voter& voter) { return seats.contains(voter.seat); };
  return !(tenure->members & seats).empty() || std::any_of(tenure->voters.begin(), tenure->voters.end(), among) ||
         (tenure->primary && seats.contains(tenure->primary->node));
}

std::optional<Reason> NodeChange::pump() {
  const CoreConfig& config = r_.ctx.config;
  const SeatSet copies = config.data_nodes - wanted_;
  const SeatSet gone = r_.membership.holds_tenure() ? (config.data_nodes | config.witnesses) - wanted_ : copies;
  if (!gone.empty()) {
    if (r_.membership.changing()) return std::nullopt;
    if (named(gone) && !r_.membership.holds_tenure()) return Reason::still_named;
    leaving_ = gone;
    if (named(gone) || !forgotten(copies)) return std::nullopt;
  }
  take_over();
  return Reason::none;
}

bool NodeChange::waits_for_a_vote() const {
  for (Seat seat : leaving_) {
    if (r_.membership.needs_vote_of(seat)) return true;
  }
  return false;
}

bool NodeChange::forgotten(SeatSet copies) {
  if (copies.empty() || MUTANT(removed_copy_remembered)) return true;
  if (!recording_) {
    recording_ = true;
    for (Seat seat : copies) r_.ctx.record.peers[seat.value].disk = {};
    r_.records.changed([this, command = command_] { recorded_ = recorded_ || (recording_ && command == command_); });
  }
  return recorded_ || r_.records.failed();
}

void NodeChange::take_over() {
  CoreConfig& config = r_.ctx.config;
  const SeatSet before = config.data_nodes | config.witnesses;
  for (Seat seat : before - wanted_) {
    r_.close_link(seat, Reason::operator_request);  // while all that it leaves behind is still known
    r_.peer(seat).refused = Reason::none;
    r_.ctx.note(Notice::node_removed, seat);
  }
  for (Seat seat : config.data_nodes - wanted_) {
    r_.dirty.remove(seat);
    r_.split_brain.over(seat);
    r_.admin.forget(seat);
  }
  for (Seat seat : data_nodes_of(wanted_) - config.data_nodes) {
    r_.ctx.record.peers[seat.value].disk = {};
    r_.dirty.add(seat);
  }
  config.data_nodes = data_nodes_of(wanted_);
  config.witnesses = wanted_ - config.data_nodes;
  for (Seat seat : wanted_ - before) {
    r_.peer(seat).since = r_.ctx.now;
    r_.ctx.note(Notice::node_added, seat);
  }
}

void NodeChange::tell_peers() {
  for (Seat seat : r_.data_peers()) {
    Peer& peer = r_.peer(seat);
    if (!peer.met || peer.told_configured == r_.ctx.config.data_nodes) continue;
    peer.told_configured = r_.ctx.config.data_nodes;
    r_.send(seat, NodesConfigured{peer.told_configured});
  }
}

bool NodeChange::known_everywhere(Seat seat) const {
  if (seat.is_witness() || seat == r_.self()) return true;
  const SeatSet others = r_.ctx.config.data_nodes - leaving_ - SeatSet{seat};
  for (Seat other : others - SeatSet{r_.self()}) {
    if (!r_.peer(other).configured.contains(seat)) return false;
  }
  return (others - r_.peer(seat).configured).empty();
}

}  // namespace lockstep
