// FLUSH: everything that completed before it came is durable on every member before the answer. Flushes that come while one runs
// share the next. The same flush, begun by a timer, settles what was acknowledged: extents may then leave the intent maps.
#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr Duration kHot = seconds(3);  // an extent that was written so recently keeps its intent bit
}

void WritePath::begin_flush() {
  flush_running_ = true;
  flush_wanted_ = false;
  flushes_running_.swap(flushes_waiting_);
  Op& op = make_op(OpKind::flush, {});
  op.stage = OpStage::running;
  op.position = watermark();
  if (flushes_running_.empty() && MUTANT(settled_without_flush)) return flush_done(op);
  const SeatSet required = required_peers();
  for (Seat seat : required) {
    if (MUTANT(flush_only_here)) continue;
    op.waiting.insert(seat);
    if (r_.peer(seat).replicating) {
      r_.send(seat, FlushRequest{r_.membership.stamp(), op.id});
    } else {
      op.lost.insert(seat);
    }
  }
  if (MUTANT(flush_only_there) && !op.waiting.empty()) return;
  if (r_.disk_usable) {
    op.local_pending = true;
    r_.disk.submit(OpKind::flush, {}, false, {}, [this, id = op.id](IoStatus status) { local_done(id, status); });
  } else {
    op.local_failed = true;
    try_finish(op);
  }
}

// Every change up to here has completed: the oldest one in flight bounds it.
uint64_t WritePath::watermark() const {
  uint64_t mark = last_position_;
  for (const Op& op : ops_) {
    if (op.id.value != 0 && is_change(op.kind) && op.position != 0) mark = std::min(mark, op.position - 1);
  }
  return mark;
}

void WritePath::flush_done(Op& op) {
  settled_ = std::max(settled_, op.position);
  recent_.settled(settled_);
  r_.feed.set_settled();
  if (!flushes_running_.empty() && !r_.membership.serving()) return;  // answered when the lease is back
  for (Seat seat : r_.data_peers()) {
    if (r_.peer(seat).replicating && !r_.feed.active(seat)) r_.send(seat, Settled{r_.membership.stamp(), settled_});
  }
  std::vector<ClientIo> answered;
  answered.swap(flushes_running_);
  for (ClientIo io : answered) {
    r_.ctx.emit(ClientReply{io, IoStatus::ok, {}});
    --client_ops_;
  }
  flush_running_ = false;
  retire(op);
  if (!waiting_for_room_.empty()) cool();
}

void WritePath::answer_flushes(IoStatus status) {
  for (auto* list : {&flushes_waiting_, &flushes_running_}) {
    for (ClientIo io : *list) {
      r_.ctx.emit(ClientReply{io, status, {}});
      --client_ops_;
    }
    list->clear();
  }
}

void WritePath::cool() {
  if (r_.disk_usable) cool_intents();
  retry_waiting_for_room();
}

void WritePath::cool_intents() {
  uint64_t room = 0;
  for (OpId id : waiting_for_room_) {
    const Op* op = find(id);
    if (op != nullptr) room += r_.intents.missing(op->range);
  }
  const auto covered = [this](uint64_t extent) {
    if (MUTANT(intent_cleared_uncovered)) return true;
    for (Seat seat : r_.data_peers()) {
      if (!r_.membership.member(seat) && !r_.dirty.durable(seat, extent)) return false;
    }
    return true;
  };
  r_.intents.cool(settled_, r_.ctx.now - kHot, room, covered);
}

void WritePath::retry_waiting_for_room() {
  std::deque<OpId> waiting;
  waiting.swap(waiting_for_room_);
  for (OpId id : waiting) {
    Op* op = find(id);
    if (op != nullptr && take_intents(*op)) fan_out(*op);
  }
}

void WritePath::go_on_behind_followers() {
  if (waiting_for_feed_.empty() || r_.feed.holds_writes()) return;
  std::vector<OpId> waiting;
  waiting.swap(waiting_for_feed_);
  for (OpId id : waiting) {
    Op* op = find(id);
    if (op != nullptr) start_change(*op);
  }
}

void WritePath::pump() {
  if (!r_.membership.is_primary()) return;
  std::vector<OpId> parked;
  parked.swap(parked_reads_);
  for (OpId id : parked) {
    Op* op = find(id);
    if (op != nullptr) start_read(*op);
  }
  go_on_rereading();
  release_lost();
  go_on_behind_followers();
  if (answers_wait_ && !r_.membership.acknowledgements_wait()) finish_waiting();
  if (r_.ctx.now >= next_settle_) {
    next_settle_ = r_.ctx.now + r_.ctx.config.settle_interval;
    if (settled_ < watermark()) flush_wanted_ = true;
    r_.dirty.pump();
    cool();
  }
  if (!flush_running_ && (flush_wanted_ || !flushes_waiting_.empty())) begin_flush();
}

Instant WritePath::next_deadline() const {
  if (!r_.membership.is_primary()) return kNever;
  const bool work = settled_ < last_position_ || r_.intents.set_count() > 0 || !r_.dirty.idle();
  Instant due = work ? next_settle_ : kNever;
  for (OpId id : rereads_) {
    const Op& op = ops_[slot_of(id)];
    if (op.id == id) due = std::min(due, op.again);
  }
  return due;
}

}  // namespace lockstep
