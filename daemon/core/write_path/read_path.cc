// Reads: from the local copy while it is good, otherwise from a member. The lease is checked again when the bytes are there (P6).
#include "core/replica_impl.h"

namespace lockstep {

void WritePath::start_read(Op& op) {
  op.stage = OpStage::running;
  if (r_.disk_usable && r_.membership.member(r_.self())) {
    read_locally(op);
  } else {
    read_remotely(op);
  }
}

void WritePath::read_locally(Op& op) {
  op.payload = {kCorePayloadBit | r_.ctx.fresh_id()};
  op.local_pending = true;
  r_.disk.submit(OpKind::read, op.range, false, op.payload, [this, id = op.id, payload = op.payload](IoStatus status) {
    if (find(id) == nullptr) return;
    if (status != IoStatus::ok) {
      r_.release(payload);
      find(id)->payload = {};
    }
    local_read_done(id, status);
  });
}

void WritePath::local_read_done(OpId id, IoStatus status) {
  Op* op = find(id);
  op->local_pending = false;
  if (status == IoStatus::ok) return try_finish(*op);
  // Another copy answers, and what cannot be read here is written anew from it; the last copy passes the error on. A disk that fails time
  // and again is given up.
  SeatSet others;
  for (Seat seat : r_.data_peers()) {
    if (r_.membership.member(seat) && r_.peer(seat).replicating) others.insert(seat);
  }
  if (others.empty() && !r_.disk_usable) return read_remotely(*op);  // which waits for one
  if (others.empty()) {
    op->status = IoStatus::io_error;
    return try_finish(*op);
  }
  // A heal waits behind this read, which holds the range.
  if (!look_for_bad_blocks(op->range, *others.begin())) r_.disk_failed(Reason::disk_failed);
  op = find(id);
  if (op != nullptr) read_remotely(*op);
}

void WritePath::read_remotely(Op& op) {
  for (Seat seat : r_.data_peers()) {
    if (!r_.membership.member(seat) || !r_.peer(seat).replicating) continue;
    op.started = r_.ctx.now;
    op.waiting = SeatSet{seat};
    op.lost = {};
    r_.send(seat, ReadRequest{r_.membership.stamp(), op.id, op.range});
    return;
  }
  parked_reads_.push_back(op.id);  // frozen until a copy comes back
}

void WritePath::read_reply(Seat from, OpId id, IoStatus status, PayloadId payload) {
  Op* op = find(id);
  if (op == nullptr || !op->waiting.contains(from)) return r_.release(payload);
  if (op->stage == OpStage::fetching) return fetched(*op, status, payload);
  if (op->kind != OpKind::read) return r_.release(payload);
  op->waiting = {};
  op->lost = {};
  if (status == IoStatus::ok) {
    op->payload = payload;
  } else {
    r_.release(payload);
    op->status = IoStatus::io_error;
  }
  try_finish(*op);
}

}  // namespace lockstep
