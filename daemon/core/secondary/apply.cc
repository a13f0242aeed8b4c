#include "core/secondary/apply.h"

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr Duration kHot = seconds(3);
constexpr Duration kIncident = milliseconds(100);
}  // namespace

Secondary::Secondary(ReplicaImpl& replica) : r_(replica), recent_(replica.ctx.config.recent_writes) {}

bool Secondary::acceptable(Seat from, const Stamp& stamp) const {
  // A tenure is told before the first frame that is stamped with it; silence would leave the sender waiting for ever.
  if (r_.membership.adopted() && stamp.history == r_.membership.stamp().history && stamp.number > r_.membership.stamp().number) {
    r_.close_link(from, Reason::protocol_violation);
    return false;
  }
  return r_.disk_usable && !r_.membership.holds_tenure() && r_.peer(from).met &&
         (stamp == r_.membership.stamp() || MUTANT(older_frames_accepted));
}

bool Secondary::in_volume(const Range& range) const {
  return !range.empty() && range.offset < r_.ctx.record.size_bytes && range.length <= r_.ctx.record.size_bytes - range.offset &&
         range.length <= r_.ctx.config.max_op_bytes;
}

void Secondary::write(Seat from, const WriteRequest& request, PayloadId payload) {
  const auto& tenure = r_.membership.adopted();
  const bool from_primary = tenure && tenure->primary && tenure->primary->node == from;
  if (tenure && !from_primary && !MUTANT(older_frames_accepted)) return r_.release(payload);
  // What came behind the beginning of a resync that was declined: a copy that is out of the set stays as it is until one begins.
  if (tenure && !r_.membership.member(r_.self()) && r_.target.source() != from) return r_.release(payload);
  take({from, r_.peer(from).link, request.stamp, request.op, request.kind, request.range, request.fua, payload, 0},
       request.position);
}

void Secondary::resync_write(Seat from, const ResyncWrite& request, PayloadId payload) {
  if (!r_.target.active() || r_.target.source() != from) return r_.release(payload);
  r_.target.heard_from_source(r_.ctx.now);
  // What a resync writes stays in the intent map until the copy has joined: position zero, pinned.
  if (in_volume(request.range)) {
    r_.intents.pin(request.range);
    if (request.stamp == r_.membership.stamp() && r_.disk_usable) r_.intents.expect(request.range, request.ahead);
  }
  take({from, r_.peer(from).link, request.stamp, request.op, request.kind, request.range, false, payload, request.zeroes}, 0);
}

void Secondary::take(const PendingWrite& pending, uint64_t position) {
  const Seat from = pending.from;
  if (!acceptable(from, pending.stamp)) {
    if (!r_.disk_usable) r_.send(from, WriteReply{pending.stamp, pending.op, IoStatus::io_error});
    return r_.release(pending.payload);
  }
  if (!in_volume(pending.range) || !is_change(pending.kind)) {
    r_.release(pending.payload);
    return r_.close_link(from, Reason::protocol_violation);
  }
  ++r_.peer(from).writes_in_flight;
  mark_for_absent(pending.range);
  if (position > 0) recent_.add(position, pending.range);
  if (r_.intents.hold(pending.range, position) || MUTANT(secondary_data_before_intent)) {
    submit(pending);
  } else {
    waiting_.push_back(pending);
  }
}

// Whoever is outside the set misses this, a Primary without a disk included: every copy keeps account of that.
void Secondary::mark_for_absent(const Range& range) {
  for (Seat seat : r_.data_peers()) {
    if (!r_.membership.member(seat) && !MUTANT(copy_marks_nothing)) r_.dirty.mark(seat, range);
  }
}

void Secondary::submit(const PendingWrite& pending) {
  if (MUTANT(secondary_acks_at_once)) r_.send(pending.from, WriteReply{pending.stamp, pending.op, IoStatus::ok});
  const bool fua = pending.fua && !MUTANT(fua_lost_on_the_way);
  const DiskIo io{{}, pending.kind, pending.range, fua, pending.payload, Look::nothing, pending.zeroes};
  r_.disk.submit(io, [this, pending](IoStatus status, BlockMask) { finished(pending, status); });
}

void Secondary::finished(const PendingWrite& pending, IoStatus status) {
  r_.intents.let_go(pending.range);
  if (status == IoStatus::ok) r_.verifier.written(pending.range);
  r_.release(pending.payload);
  Peer& peer = r_.peer(pending.from);
  --peer.writes_in_flight;
  // An acknowledgement counts only on the link that carried the write.
  if (peer.link_up && peer.link == pending.link) r_.send(pending.from, WriteReply{pending.stamp, pending.op, status});
  if (status != IoStatus::ok && !MUTANT(write_failure_ignored)) r_.disk_failed(Reason::disk_failed);
  if ((pending.op.value & kFeedOpBit) == 0) return;
  in_order_.applied(pending.op.value & ~kFeedOpBit);
  r_.disk_usable ? go_on_in_order() : give_up_in_order();
}

void Secondary::intents_progressed() {
  r_.disk_usable ? go_on_in_order() : give_up_in_order();
  std::vector<PendingWrite> waiting;
  waiting.swap(waiting_);
  for (const PendingWrite& pending : waiting) {
    if (!r_.disk_usable) {
      finished(pending, IoStatus::io_error);
    } else if (r_.intents.durable(pending.range)) {
      submit(pending);
    } else {
      waiting_.push_back(pending);
    }
  }
}

void Secondary::flush(Seat from, const FlushRequest& request) {
  if (!acceptable(from, request.stamp)) {
    if (!r_.disk_usable) r_.send(from, FlushReply{request.stamp, request.op, IoStatus::io_error});
    return;
  }
  if (MUTANT(levelled_unflushed) && r_.target.active()) return r_.send(from, FlushReply{request.stamp, request.op, IoStatus::ok});
  r_.disk.submit(OpKind::flush, {}, false, {}, [this, from, request, link = r_.peer(from).link](IoStatus status) {
    if (MUTANT(flush_failure_ignored)) status = IoStatus::ok;
    if (r_.peer(from).link_up && r_.peer(from).link == link) r_.send(from, FlushReply{request.stamp, request.op, status});
    if (status != IoStatus::ok) r_.disk_failed(Reason::disk_failed);
  });
}

void Secondary::read(Seat from, const ReadRequest& request) {
  if (!acceptable(from, request.stamp) || !in_volume(request.range))
    return r_.send(from, ReadReply{request.stamp, request.op, IoStatus::io_error, request.range});
  const PayloadId payload{kCorePayloadBit | r_.ctx.fresh_id()};
  r_.disk.submit(OpKind::read, request.range, false, payload,
                 [this, from, request, payload, link = r_.peer(from).link](IoStatus status) {
                   if (r_.peer(from).link_up && r_.peer(from).link == link) {
                     r_.send(from, ReadReply{request.stamp, request.op, status, request.range},
                             status == IoStatus::ok ? payload : PayloadId{});
                   }
                   r_.release(payload);
                   if (status != IoStatus::ok) could_not_read(from, request.range, status);
                 });
}

// What cannot be read is looked at once more, block by block, and written anew: all that counts as one.
void Secondary::could_not_read(Seat asked, const Range& range, IoStatus status) {
  if (status == IoStatus::corrupt) return r_.ctx.note(Notice::rot_found, asked, range.offset);
  if (r_.ctx.now < read_failed_at_ + kIncident) return;
  read_failed_at_ = r_.ctx.now;
  if (++failed_reads_ <= r_.ctx.config.max_failed_reads) return r_.ctx.note(Notice::read_failed, asked, range.offset);
  if (r_.another_copy()) r_.disk_failed(Reason::disk_failed);
}

// Nothing writes to this range: who asks holds it on the Primary's side.
void Secondary::compare(Seat from, const CompareRequest& request, PayloadId digests) {
  r_.peer(from).compared = r_.ctx.now;
  if (!acceptable(from, request.stamp) || !in_volume(request.range) || request.range.length > kLookBlocks * kBlockBytes) {
    r_.release(digests);
    return r_.send(from, CompareReply{request.stamp, request.op, IoStatus::shut_down, 0});
  }
  if (r_.target.active() && r_.target.source() == from) r_.target.heard_from_source(r_.ctx.now);
  const DiskIo read{{}, OpKind::read, request.range, false, digests, Look::compare, 0};
  r_.disk.submit(read, [this, from, request, digests, link = r_.peer(from).link](IoStatus status, BlockMask differing) {
    r_.release(digests);
    // What was read after another tenure had begun may be newer than what it was compared with.
    const IoStatus said = acceptable(from, request.stamp) || !r_.disk_usable ? status : IoStatus::shut_down;
    if (r_.peer(from).link_up && r_.peer(from).link == link)
      r_.send(from, CompareReply{request.stamp, request.op, said, differing});
    // Whoever asked writes the range anew; a disk that fails time and again is given up.
    if (status == IoStatus::corrupt) return r_.ctx.note(Notice::rot_found, from, request.range.offset);
    if (status != IoStatus::ok && ++failed_comparisons_ > r_.ctx.config.max_failed_reads) r_.disk_failed(Reason::disk_failed);
  });
}

void Secondary::settled(Seat from, const Settled& notice) {
  if (!acceptable(from, notice.stamp)) return;
  settled_ = std::max(settled_, notice.position);
  recent_.settled(settled_);
  if (r_.membership.member(r_.self()) || r_.target.follows(from)) r_.intents.unpin_all();
  cool(Heat::matters);
}

// A member clears what the Primary says is settled. A copy outside the set clears nothing that a resync still has to level: that
// is pinned.
void Secondary::cool(Heat heat) {
  // What is written after the end began is left: a stop must not wait for it.
  if (heat == Heat::is_over && !over_) over_ = r_.ctx.now;
  const Instant idle_before = heat == Heat::matters ? r_.ctx.now - kHot : *over_;
  r_.intents.cool(settled_, idle_before, 0, [this](uint64_t extent) {
    for (Seat seat : r_.data_peers()) {
      if (!r_.membership.member(seat) && !r_.dirty.durable(seat, extent)) return false;
    }
    return true;
  });
}

}  // namespace lockstep
