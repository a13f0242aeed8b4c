#include "core/meeting.h"

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

namespace {

VolumeShapes volumes_of(const PeerHello& hello) {
  NodeRecord record;
  record.size_bytes = hello.size_bytes;
  record.volumes = hello.volumes;
  return volumes_of(record);
}

Reason size_objection(const PeerHello& mine, const PeerHello& theirs) {
  if (mine.disk.is_nil() || theirs.disk.is_nil()) return Reason::none;
  // The later of two: both sides have to come to the same verdict.
  const bool theirs_is_later = theirs.tenure && (!mine.tenure || theirs.tenure->number > mine.tenure->number);
  const auto& tenure = theirs_is_later ? theirs.tenure : mine.tenure;
  const VolumeShapes my_room = volumes_of(mine);
  const VolumeShapes their_room = volumes_of(theirs);
  if (!same_volumes(my_room, their_room)) return Reason::different_volumes;
  if (!tenure) return my_room == their_room ? Reason::none : Reason::different_size;
  if (!same_volumes(tenure->volumes, my_room)) return Reason::different_volumes;
  return room_for(tenure->volumes, my_room) && room_for(tenure->volumes, their_room) ? Reason::none : Reason::size_too_small;
}

bool gave_up(const PeerHello& one, const PeerHello& other) {
  return !one.tenure && other.tenure && other.tenure->history == one.given_up;
}

}  // namespace

Judgement judge(const PeerHello& mine, const PeerHello& theirs) {
  if (mine.node == theirs.node) return {Verdict::refuse, Reason::same_node_id};
  if (mine.protocol != theirs.protocol) return {Verdict::refuse, Reason::different_protocol};
  if (mine.tenure && theirs.tenure && mine.tenure->history != theirs.tenure->history && !MUTANT(histories_meet_unnoticed))
    return {Verdict::refuse, Reason::different_history};
  if (gave_up(mine, theirs) || gave_up(theirs, mine)) return {Verdict::refuse, Reason::different_history};
  const Reason size = size_objection(mine, theirs);
  if (size != Reason::none) return {Verdict::refuse, size};
  const uint64_t my_number = mine.tenure ? mine.tenure->number : 0;
  const uint64_t their_number = theirs.tenure ? theirs.tenure->number : 0;
  if (their_number > my_number) return {Verdict::adopt_theirs, Reason::none};
  if (their_number < my_number) return {Verdict::they_adopt_mine, Reason::none};
  return {Verdict::connect, Reason::none};
}

PeerHello Meeting::own_hello(Seat to) const {
  const NodeRecord& record = r_.ctx.record;
  PeerHello hello;
  hello.node = r_.self();
  hello.boot = record.boot;
  hello.start = record.start();
  hello.acceptor = record.acceptor.acceptor;
  hello.disk = record.disk;
  hello.remembered_disk = record.peers[to.value].disk;
  hello.size_bytes = record.size_bytes;
  hello.volumes = record.volumes;
  hello.disk_usable = r_.disk_usable;
  hello.inconsistent = record.inconsistent;
  hello.doubtful = record.doubtful;
  hello.tenure = record.adopted;
  hello.dirty_blocks = r_.blocks_in_doubt(to);
  const CoreConfig& config = r_.ctx.config;
  if (config.asynchronous.contains(to)) hello.protocol = config.by_receipt.contains(to) ? 'B' : 'A';
  hello.given_up = record.given_up;
  return hello;
}

void Meeting::pump() {
  for (Seat seat : r_.data_peers()) {
    Peer& peer = r_.peer(seat);
    if (!peer.link_up || peer.hello_sent || (peer.writes_in_flight > 0 && !MUTANT(older_writes_not_awaited))) continue;
    peer.hello_sent = true;
    peer.told = r_.ctx.record.peers[seat.value].disk;
    r_.send(seat, own_hello(seat));
    meet_if_ready(seat);
  }
}

void Meeting::hello(Seat from, const PeerHello& hello) {
  Peer& peer = r_.peer(from);
  if (peer.hello) return r_.close_link(from, Reason::protocol_violation);
  peer.hello = hello;
  meet_if_ready(from);
}

void Meeting::introduced(Seat seat) { meet_if_ready(seat); }

// The hellos go on one lane, the introduction on the other.
void Meeting::meet_if_ready(Seat seat) {
  const Peer& peer = r_.peer(seat);
  if (peer.hello && peer.hello_sent && peer.introduced && !peer.met && !r_.split_brain.begun(seat)) meet(seat);
}

void Meeting::meet(Seat from) {
  Peer& peer = r_.peer(from);
  const PeerHello theirs = *peer.hello;
  Judgement judgement = judge(own_hello(from), theirs);
  if (theirs.acceptor != peer.run.acceptor || theirs.start != peer.run.start)
    judgement = {Verdict::refuse, Reason::protocol_violation};
  if (theirs.node != from) judgement = {Verdict::refuse, Reason::same_node_id};
  if (judgement.verdict == Verdict::refuse) {
    peer.refused = judgement.reason;
    r_.ctx.note(Notice::peer_refused, from, static_cast<uint64_t>(judgement.reason));
    if (judgement.reason == Reason::different_history) return r_.split_brain.begin(from);
    return r_.close_link(from, judgement.reason, true);
  }
  r_.split_brain.over(from);
  peer.met = true;
  peer.refused = Reason::none;
  peer.remembers = theirs.remembered_disk;
  peer.disk_usable = theirs.disk_usable;
  peer.inconsistent = theirs.inconsistent;
  peer.doubtful = theirs.doubtful;
  peer.whole = theirs.tenure && !theirs.inconsistent;
  // Its word that it has adopted a later one may have come before this hello: that goes on the other lane.
  const Stamp hello_stamp = theirs.tenure ? stamp_of(*theirs.tenure) : Stamp{};
  if (peer.adopted.number < hello_stamp.number) peer.adopted = hello_stamp;
  peer.seen_acceptor = theirs.acceptor;
  r_.membership.met(from, theirs);
  if (r_.membership.caretaking()) r_.membership.tell_caretaking(from);
  r_.ctx.note(Notice::peer_connected, from);
  if (judgement.verdict == Verdict::adopt_theirs) r_.membership.decided_elsewhere(from, *theirs.tenure);
}

}  // namespace lockstep
