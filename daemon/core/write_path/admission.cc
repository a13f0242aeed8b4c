// A client's request comes in: is this node Primary, may it serve, and is the range free?
#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

WritePath::WritePath(ReplicaImpl& replica) : r_(replica), recent_(replica.ctx.config.recent_writes) {}

void WritePath::refuse(const ClientRequest& request, IoStatus status) {
  r_.ctx.emit(ClientReply{request.io, status, {}});
  r_.release(request.payload);
}

// Nobody is served there while a volume is being shrunk, either.
bool WritePath::beyond_the_end(const ClientRequest& request) const {
  if (request.kind == OpKind::flush) return false;
  return request.range.end() > r_.membership.end_of_service() ||
         !within_a_volume(r_.membership.adopted()->volumes, request.range);
}

bool WritePath::busy_beyond(uint64_t bytes) const {
  return std::any_of(ops_.begin(), ops_.end(), [bytes](const Op& op) { return op.id.value != 0 && op.range.end() > bytes; });
}

void WritePath::request(const ClientRequest& request) {
  if (!r_.membership.serves_clients()) return refuse(request, IoStatus::shut_down);
  if (beyond_the_end(request)) return refuse(request, is_change(request.kind) ? IoStatus::no_space : IoStatus::invalid);
  CHECK(request.range.length <= r_.ctx.config.max_op_bytes);
  ++client_ops_;
  CHECK(client_ops_ <= r_.ctx.config.max_client_ops);
  const bool serving = r_.membership.serving();
  if (serving && !suspended_) return admit(request);
  if (!serving && r_.ctx.config.fail_on_no_quorum) {
    --client_ops_;
    return refuse(request, IoStatus::io_error);
  }
  held_.push_back(request);
}

void WritePath::admit(const ClientRequest& request) {
  if (request.kind == OpKind::flush) {
    flushes_waiting_.push_back(request.io);
    return;
  }
  Op& op = make_op(request.kind, request.range);
  op.client = request.io;
  op.fua = request.fua;
  op.payload = request.payload;
  run_if_free(op, request.kind == OpKind::read ? RangeGate::Mode::shared : RangeGate::Mode::exclusive);
}

Op& WritePath::make_op(OpKind kind, const Range& range) {
  if (free_.empty()) {
    CHECK(ops_.size() < (uint64_t{1} << kSlotBits));
    free_.push_back(static_cast<uint32_t>(ops_.size()));
    ops_.emplace_back();
  }
  const uint32_t at = free_.back();
  free_.pop_back();
  Op& op = ops_[at];
  op = Op{};
  op.id = {(++generation_ << kSlotBits) | at};
  op.kind = kind;
  op.range = range;
  op.started = r_.ctx.now;
  ++live_;
  return op;
}

Op* WritePath::find(OpId id) {
  const uint64_t at = slot_of(id);
  return at < ops_.size() && ops_[at].id == id && id.value != 0 ? &ops_[at] : nullptr;
}

void WritePath::run_if_free(Op& op, RangeGate::Mode mode) {
  op.in_gate = true;
  const bool ungated = op.kind == OpKind::read ? MUTANT(read_without_gate) : MUTANT(writes_without_gate);
  if (ungated) op.in_gate = false;
  if (ungated || gate_.enter(op.id, op.range, mode)) start(op);
}

void WritePath::start(Op& op) {
  if (op.kind == OpKind::read) {
    start_read(op);
  } else if (op.heals_from != kNoSeat) {
    fetch(op);
  } else {
    start_change(op);
  }
}

void WritePath::leave_gate(OpId id) {
  std::vector<OpId> runnable;
  gate_.leave(id, runnable);
  for (OpId next : runnable) {
    if ((next.value & (kResyncOpBit | kVerifyOpBit)) != 0) {
      r_.range_held(next);
    } else {
      start(*find(next));
    }
  }
}

void WritePath::serving_changed() {
  if (!r_.membership.serving()) {
    if (r_.ctx.config.fail_on_no_quorum) fail_waiting(IoStatus::io_error);
    return;
  }
  if (!suspended_) admit_held();
  finish_waiting();
}

void WritePath::admit_held() {
  std::vector<ClientRequest> held;
  held.swap(held_);
  for (const ClientRequest& request : held) {
    if (!beyond_the_end(request)) {
      admit(request);
      continue;
    }
    --client_ops_;
    refuse(request, is_change(request.kind) ? IoStatus::no_space : IoStatus::invalid);
  }
}

void WritePath::resume() {
  if (std::exchange(suspended_, false) && r_.membership.serving()) admit_held();
}

// What has all its legs and was not answered: without a lease, or while the set was being reduced.
void WritePath::finish_waiting() {
  answers_wait_ = false;
  for (size_t i = 0; i < ops_.size(); ++i) {
    if (ops_[i].id.value != 0 && ops_[i].stage == OpStage::finished) try_finish(ops_[i]);
  }
}

void WritePath::fail_waiting(IoStatus status) {
  for (const ClientRequest& request : held_) {
    --client_ops_;
    refuse(request, status);
  }
  held_.clear();
  answer_flushes(status);
  for (Op& op : ops_) {
    // The operation goes on as an orphan and keeps its range: until every member has it, or is out of the set.
    if (op.id.value != 0 && op.client.value != 0) reply(op, status);
  }
}

void WritePath::abandon() {
  fail_waiting(IoStatus::shut_down);
  std::vector<OpId> runnable;
  for (Op& op : ops_) {
    if (op.id.value == 0) continue;
    if (op.intent_held) r_.intents.let_go(op.range);
    if (op.in_gate) gate_.leave(op.id, runnable);
    r_.release(op.payload);
    op = Op{};
  }
  ops_.clear();
  free_.clear();
  live_ = 0;
  waiting_for_room_.clear();
  waiting_for_intent_.clear();
  waiting_for_feed_.clear();
  parked_reads_.clear();
  rereads_.clear();
  suspended_ = false;
  heals_ = looks_ = 0;
  flush_running_ = false;
  flush_wanted_ = false;
  answers_wait_ = false;
  for (OpId id : runnable) {
    if ((id.value & (kResyncOpBit | kVerifyOpBit)) != 0) r_.range_held(id);
  }
}

void WritePath::became_primary() {
  ++last_position_;  // never restarts in a run: a peer that missed the tenure between must not take new positions for settled ones
  next_settle_ = r_.ctx.now + r_.ctx.config.settle_interval;
  // What was written before, by whomever: whole extents, until they are settled. None after a clean hand-over.
  recent_.clear();
  for (const uint64_t extent : r_.intents.unsettled()) {
    const uint64_t offset = extent * kExtentBytes;
    recent_.add(last_position_, {offset, std::min(kExtentBytes, r_.ctx.record.size_bytes - offset)});
  }
  r_.intents.rebase(last_position_);
}

}  // namespace lockstep
