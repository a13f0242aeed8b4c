// A change runs: its extents are made durable in the intent map, and meanwhile it goes to every peer that must have it. Each copy
// writes data only once its own intent is durable, so the legs need no order among them.
#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

SeatSet WritePath::required_peers() const {
  SeatSet required;
  for (Seat seat : r_.data_peers()) {
    if (r_.membership.completions_need(seat)) required.insert(seat);
  }
  return required;
}

void WritePath::start_change(Op& op) {
  op.stage = OpStage::intent;
  if (!take_intents(op)) return;
  fan_out(op);
}

// False: the hot extents are full; the operation waits until some have settled and cooled.
bool WritePath::take_intents(Op& op) {
  if (r_.feed.holds_writes()) {
    waiting_for_feed_.push_back(op.id);
    return false;
  }
  if (!r_.disk_usable) {
    op.position = ++last_position_;
    return true;
  }
  const uint64_t missing = r_.intents.missing(op.range);
  if (missing > 0 && r_.intents.set_count() > 0 && r_.intents.set_count() + missing > r_.ctx.config.max_hot_extents) {
    waiting_for_room_.push_back(op.id);
    if (settled_ < watermark()) flush_wanted_ = true;
    return false;
  }
  op.position = ++last_position_;
  op.intent_held = true;
  r_.intents.hold(op.range, op.position);
  if (MUTANT(unflushed_not_marked)) recent_.settled(watermark());
  recent_.add(op.position, op.range);
  return true;
}

void WritePath::fan_out(Op& op) {
  op.stage = OpStage::running;
  op.started = r_.ctx.now;  // what the peers' time to acknowledge counts from
  const SeatSet required = required_peers();
  for (Seat seat : r_.data_peers()) {
    if (!required.contains(seat)) {
      if (r_.feed.write(op, seat)) op.waiting.insert(seat);
      if (!MUTANT(absent_not_marked)) r_.dirty.mark(seat, op.range);
      continue;
    }
    op.waiting.insert(seat);
    if (!r_.peer(seat).replicating) {
      op.lost.insert(seat);
      continue;
    }
    r_.send(seat, WriteRequest{r_.membership.stamp(), op.id, op.position, op.kind, op.range, op.fua},
            op.kind == OpKind::write ? op.payload : PayloadId{});
  }
  if (!r_.disk_usable) {
    op.local_failed = true;
    return try_finish(op);
  }
  op.local_pending = true;
  if (r_.intents.durable(op.range) || MUTANT(data_before_intent)) {
    submit_local(op);
  } else {
    waiting_for_intent_.push_back(op.id);
  }
}

void WritePath::submit_local(Op& op) {
  r_.disk.submit(op.kind, op.range, op.fua, op.kind == OpKind::write ? op.payload : PayloadId{},
                 [this, id = op.id](IoStatus status) { local_done(id, status); });
}

void WritePath::intents_progressed() {
  std::vector<OpId> waiting;
  waiting.swap(waiting_for_intent_);
  for (OpId id : waiting) {
    Op* op = find(id);
    if (op == nullptr) continue;
    if (!r_.disk_usable) {
      op->local_pending = false;
      op->local_failed = true;
      try_finish(*op);
    } else if (r_.intents.durable(op->range)) {
      submit_local(*op);
    } else {
      waiting_for_intent_.push_back(id);
    }
  }
}

}  // namespace lockstep
