// What a Replica shows of itself.
#include <algorithm>

#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

namespace {

DiskState own_disk(const ReplicaImpl& r) {
  const NodeRecord& record = r.ctx.record;
  // Given up at once; what was submitted before may hang in it for a while.
  if (!r.disk_usable) return r.disk.in_flight() > 0 ? DiskState::failed : DiskState::diskless;
  if (!record.adopted || record.inconsistent) return DiskState::inconsistent;
  for (Seat seat : r.data_peers()) {
    if (r.target.follows(seat)) return DiskState::consistent;
  }
  if (!record.adopted->members.contains(r.self()) || record.outdated) return DiskState::outdated;
  return record.doubtful ? DiskState::consistent : DiskState::up_to_date;
}

DiskState peer_disk(const ReplicaImpl& r, const Peer& peer) {
  const auto& tenure = r.ctx.record.adopted;
  if (!peer.met) {
    const bool gone = tenure && !tenure->members.contains(peer.seat);
    return gone ? DiskState::outdated : DiskState::unknown;
  }
  if (!peer.disk_usable) return DiskState::diskless;
  if (!tenure) return DiskState::inconsistent;
  if (tenure->members.contains(peer.seat)) {
    if (peer.inconsistent) return DiskState::inconsistent;
    return peer.doubtful ? DiskState::consistent : DiskState::up_to_date;
  }
  if (r.feed.follows(peer.seat)) return DiskState::consistent;
  return peer.inconsistent || r.source.active(peer.seat) ? DiskState::inconsistent : DiskState::outdated;
}

Role peer_role(const ReplicaImpl& r, const Peer& peer) {
  if (!peer.met) return Role::unknown;
  const auto& tenure = r.ctx.record.adopted;
  const bool primary = tenure && tenure->primary && tenure->primary->node == peer.seat && peer.hello &&
                       peer.hello->boot == tenure->primary->boot && peer.hello->start == tenure->primary->start;
  return primary && !peer.caretaker ? Role::primary : Role::secondary;
}

constexpr Duration kComparing = seconds(2);  // a copy counts as being compared for so long after each question

bool lacks_writes(const ReplicaImpl& r) {
  const auto& tenure = r.ctx.record.adopted;
  return tenure && !tenure->members.contains(r.self()) && r.disk_usable;
}

// Nothing where there is one volume; a whole map is looked at only where there is something to count.
template <class Count>
VolumeCounts by_volume(const ReplicaImpl& r, uint64_t total, const Count& count) {
  VolumeCounts counts;
  const auto& tenure = r.ctx.record.adopted;
  if (!tenure || tenure->volumes.size() < 2) return counts;
  if (total > 0) return count(tenure->volumes);
  for (size_t i = 0; i < tenure->volumes.size(); ++i) counts.push_back(0);
  return counts;
}

VerifySnapshot show_comparison(const ReplicaImpl& r, Seat peer, Instant now) {
  VerifySnapshot shown;
  shown.running = r.verifier.active(peer);
  shown.completed = r.verifier.completed(peer);
  if (shown.running) {
    shown.total = r.verifier.total(peer);
    shown.done = r.verifier.done(peer);
    shown.taken = now - r.verifier.started(peer);
  }
  shown.repairing = r.verifier.repairing(peer);
  shown.differing = r.verifier.differing(peer);
  if (shown.differing > 0) shown.extents = r.verifier.extents(peer, kVerifyExtentsShown);
  shown.differing_of =
      by_volume(r, shown.differing, [&](const VolumeShapes& volumes) { return r.verifier.differing(peer, volumes); });
  return shown;
}

PeerSnapshot show_peer(const ReplicaImpl& r, const Peer& peer, Instant now) {
  PeerSnapshot shown;
  shown.node = peer.seat;
  shown.connected = peer.met;
  shown.role = peer_role(r, peer);
  shown.disk = peer_disk(r, peer);
  shown.refused = peer.refused;
  if (peer.refused == Reason::different_history) shown.differing = r.split_brain.listed(peer.seat);
  shown.fence = r.membership.fence_shown(peer.seat);
  if (!peer.met) shown.silent_for = now - peer.since;
  if (peer.met) {
    shown.replication = ReplicationState::established;
    if (r.source.active(peer.seat)) shown.replication = ReplicationState::sync_source;
    const bool copies_here = r.target.active() && r.target.source() == peer.seat && !r.target.follows(peer.seat);
    if (copies_here) shown.replication = ReplicationState::sync_target;
    if (r.feed.ahead(peer.seat)) shown.replication = ReplicationState::ahead;
    if (r.target.behind(peer.seat)) shown.replication = ReplicationState::behind;
    shown.paused_here = r.admin.paused(peer.seat);
    shown.held_here = r.target.held();
    shown.paused_there = peer.paused;
    if (r.source.held_back(peer.seat)) shown.replication = ReplicationState::paused_sync_source;
    const bool paused = shown.paused_here || shown.paused_there || shown.held_here;
    if (paused && lacks_writes(r)) shown.replication = ReplicationState::paused_sync_target;
    const bool idle = shown.replication == ReplicationState::established;
    if (idle && now < peer.compared + kComparing) shown.replication = ReplicationState::verify_target;
    if (r.verifier.active(peer.seat)) shown.replication = ReplicationState::verify_source;
  }
  shown.follows = r.feed.follows(peer.seat);
  shown.followed = r.target.follows(peer.seat);
  shown.bytes_behind = r.feed.bytes_behind(peer.seat);
  if (const Instant since = r.feed.behind_since(peer.seat); since != kNever) shown.behind_for = now - since;
  shown.dirty_blocks = r.blocks_in_doubt(peer.seat);
  shown.dirty_of =
      by_volume(r, shown.dirty_blocks, [&](const VolumeShapes& volumes) { return r.blocks_in_doubt(peer.seat, volumes); });
  shown.verify = show_comparison(r, peer.seat, now);
  if (r.source.active(peer.seat) || r.verifier.active(peer.seat)) shown.recent_rate = r.pace.recent_rate(now);
  if (r.source.active(peer.seat)) {
    shown.resync_total = r.source.total(peer.seat);
    shown.resync_done = r.source.copied(peer.seat);
    shown.resync_running = now - r.source.started(peer.seat);
  }
  return shown;
}

VoterSnapshot show_voter(const ReplicaImpl& r, const Voter& voter, Instant now) {
  VoterSnapshot shown;
  shown.seat = voter.seat;
  if (voter.seat == r.self()) {
    shown.answers = !r.acceptor.failed();
    return shown;
  }
  const Peer& peer = r.peer(voter.seat);
  shown.answers = peer.introduced;
  shown.empty_seat = voter.acceptor.is_nil() || (!peer.seen_acceptor.is_nil() && peer.seen_acceptor != voter.acceptor);
  if (!peer.introduced) shown.silent_for = now - peer.since;
  return shown;
}

// Each member is here, or connected, and has no disk. (This node's failed one, beside others, is about to be dropped: frozen until then.)
bool no_disk_of_the_set_left(const ReplicaImpl& r) {
  if (!r.disk_usable && r.membership.member(r.self())) return true;
  const SeatSet members = r.membership.adopted() ? r.membership.adopted()->members : SeatSet{};
  bool any = false;
  for (Seat seat : members) {
    if (seat == r.self() || !r.peer(seat).met || r.peer(seat).disk_usable) return false;
    any = true;
  }
  return any;
}

}  // namespace

Snapshot ReplicaImpl::inspect(Instant now) const {
  Snapshot shown;
  shown.caretaker = membership.is_primary() && !membership.serves_clients();
  shown.role = membership.serves_clients() ? Role::primary : Role::secondary;
  shown.disk = own_disk(*this);
  shown.tenure = ctx.record.adopted;
  shown.disk_uuid = ctx.record.disk;
  shown.volumes = shown.tenure ? shown.tenure->volumes : volumes_of(ctx.record);
  shown.size_bytes = shown.tenure ? span_of(*shown.tenure) : ctx.record.size_bytes;
  shown.votes_needed = membership.votes_needed();
  shown.votes_answering = membership.votes_answering();
  shown.quorum = membership.may_decide();
  shown.seasoned = membership.seasoned();
  shown.healed_blocks = write_path.healed();
  shown.client_ops = write_path.client_ops();
  shown.hot_extents = static_cast<uint32_t>(intents.set_count());
  if (membership.serves_clients()) {
    const Instant until = membership.lease_until();
    shown.lease_left = until > now ? until - now : Duration{};
    shown.reason = membership.frozen_reason();
    shown.suspended = shown.reason != Reason::none;  // not while it hands over by a command
    for (Seat seat : data_peers()) {
      if (!membership.member(seat) || peer(seat).replicating) continue;
      shown.suspended = true;
      if (shown.reason == Reason::none) shown.reason = Reason::peer_loss_undecided;
    }
    // A disk that failed is dropped from the set, unless it is the last one there.
    if (no_disk_of_the_set_left(*this)) {
      shown.suspended = true;
      shown.reason = Reason::last_copy_failed;
    }
    if (!shown.quorum && shown.reason == Reason::none) shown.reason = Reason::no_quorum;
    shown.suspended_by_operator = write_path.suspended();
    if (shown.suspended_by_operator && !shown.suspended) {
      shown.suspended = true;
      shown.reason = Reason::io_suspended;
    }
  } else {
    shown.reason = admin.promotion_obstacle();
    if (shown.reason == Reason::none && membership.last_obstacle() != Reason::none) shown.reason = membership.last_obstacle();
  }
  for (const Voter& voter : ctx.record.adopted ? ctx.record.adopted->voters : membership.configured_voters())
    shown.voters.push_back(show_voter(*this, voter, now));
  for (Seat seat : ctx.config.data_nodes | ctx.config.witnesses) {
    const auto votes = [seat](const VoterSnapshot& voter) { return voter.seat == seat; };
    if (std::none_of(shown.voters.begin(), shown.voters.end(), votes))
      shown.without_seat.push_back(show_voter(*this, {seat, peer(seat).seen_acceptor}, now));
  }
  for (Seat seat : data_peers()) {
    shown.peers.push_back(show_peer(*this, peer(seat), now));
    shown.dirty_blocks[seat.value] = blocks_in_doubt(seat);
  }
  return shown;
}

}  // namespace lockstep
