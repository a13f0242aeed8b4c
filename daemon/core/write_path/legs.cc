// Outcomes of the legs of an operation: the local disk, and one a peer.
#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

void WritePath::local_done(OpId id, IoStatus status) {
  Op* op = find(id);
  if (op == nullptr) {  // abandoned meanwhile; the disk has failed all the same
    if (status != IoStatus::ok && !MUTANT(flush_failure_ignored)) r_.disk_failed(Reason::disk_failed);
    return;
  }
  if (op->kind == OpKind::flush && MUTANT(flush_failure_ignored)) status = IoStatus::ok;
  op->local_pending = false;
  if (status != IoStatus::ok) {
    op->local_failed = true;
    r_.disk_failed(Reason::disk_failed);
    op = find(id);
    if (op == nullptr) return;
  }
  try_finish(*op);
}

void WritePath::write_reply(Seat from, OpId id, IoStatus status) {
  Op* op = find(id);
  if (op == nullptr || !op->waiting.contains(from) || op->lost.contains(from)) return;
  if (status == IoStatus::ok) {
    leg_in(*op, from);
  } else {
    leg_failed(*op, from);
  }
}

void WritePath::flush_reply(Seat from, OpId op, IoStatus status) { write_reply(from, op, status); }

void WritePath::leg_in(Op& op, Seat peer) {
  op.waiting.erase(peer);
  try_finish(op);
}

// The peer's disk refused. Its copy is no longer one that has everything: it has to leave the set before this completes.
void WritePath::leg_failed(Op& op, Seat peer) {
  op.lost.insert(peer);
  refused_by(peer);
}

// What it may lack of those that are joining is marked before their legs stop counting: a flush that waits for them would settle it.
void WritePath::refused_by(Seat peer) {
  r_.peer(peer).replicating = false;
  r_.peer(peer).disk_usable = false;
  leg_lost(peer);
  r_.source.abort(peer);  // a copy that refuses a write must not join, whatever its resync had come to
}

// Block by block as long as this node is Primary; what others wrote, or more than it remembers, is known by extents only.
void WritePath::mark_in_doubt(Seat peer) {
  if (MUTANT(lost_peer_not_marked)) return;
  if (!r_.membership.is_primary() || !recent_.complete() || r_.intents.any_pinned())
    return r_.dirty.mark_extents(peer, r_.intents.bits());
  recent_.for_each([this, peer](const Range& range) { r_.dirty.mark(peer, range); });
}

void WritePath::leg_lost(Seat peer) {
  for (Op& op : ops_) {
    if (op.id.value == 0 || !op.waiting.contains(peer)) continue;
    op.lost.insert(peer);
    const bool reads = op.kind == OpKind::read && op.stage == OpStage::running && op.looks_at == kNoSeat;
    if (!reads || (readable_copies() - op.failed).empty()) continue;  // a copy that does not answer may still come back
    op.waiting = op.lost = {};
    start_read(op);
  }
}

bool WritePath::all_legs_in(const Op& op) const {
  if (!op.waiting.empty() && !MUTANT(ack_without_peers)) return false;
  if (op.local_pending && !MUTANT(ack_without_local_disk)) return false;
  return !op.local_failed || !r_.membership.member(r_.self());
}

// Legs that are lost stop counting when their peer is in no set that is or may be decided. Until then P3 holds completions.
void WritePath::release_lost() {
  for (size_t i = 0; i < ops_.size(); ++i) {
    Op& op = ops_[i];
    if (op.id.value == 0) continue;
    const bool asked = !op.waiting.empty();
    for (Seat seat : op.lost) {
      if (r_.membership.completions_need(seat) && !MUTANT(ack_before_loss_decided)) continue;
      op.lost.erase(seat);
      op.waiting.erase(seat);
      if (is_change(op.kind) && op.stage != OpStage::fetching && !MUTANT(lost_peer_not_marked)) r_.dirty.mark(seat, op.range);
    }
    if (op.stage == OpStage::running && op.kind != OpKind::read) try_finish(op);
    // A read whose peer is out of the set is read from another copy, this one included.
    if (op.stage == OpStage::running && op.kind == OpKind::read && asked && op.waiting.empty())
      op.looks_at != kNoSeat ? retire(op) : start_read(op);
    if (op.stage == OpStage::fetching && op.waiting.empty() && !op.local_pending) fetched(op, IoStatus::io_error, {});
  }
}

// A Primary without a disk of its own lost its link to the last member and has it back. Nothing was acknowledged meanwhile, so that
// copy still has every acknowledged write, and what it may lack is what is in flight: sent again, under the ranges still held.
void WritePath::resend(Seat peer) {
  for (Op& op : ops_) {
    if (op.id.value == 0 || !op.lost.contains(peer)) continue;
    op.lost.erase(peer);
    op.started = r_.ctx.now;
    const Stamp stamp = r_.membership.stamp();
    if (op.kind == OpKind::read || op.stage == OpStage::fetching) {
      r_.send(peer, ReadRequest{stamp, op.id, op.range});
    } else if (op.kind == OpKind::flush) {
      r_.send(peer, FlushRequest{stamp, op.id});
    } else {
      r_.send(peer, WriteRequest{stamp, op.id, op.position, op.kind, op.range, op.fua},
              op.kind == OpKind::write ? op.payload : PayloadId{});
    }
  }
}

// Whoever has joined may forget what it was levelled in.
void WritePath::set_changed() {
  release_lost();
  if (!r_.membership.is_primary()) return;
  for (Seat seat : r_.data_peers()) {
    if (r_.peer(seat).replicating && r_.membership.member(seat)) r_.send(seat, Settled{r_.membership.stamp(), settled_});
  }
}

Instant WritePath::oldest_leg(Seat peer) const {
  Instant oldest = kNever;
  for (const Op& op : ops_) {
    if (op.id.value != 0 && op.waiting.contains(peer) && !op.lost.contains(peer)) oldest = std::min(oldest, op.started);
  }
  return oldest;
}

}  // namespace lockstep
