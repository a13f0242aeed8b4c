// Reads: from one copy of the set (CoreConfig::read_balancing), from another if that one cannot be read. Any of them has every acknowledged
// write, and the range gate keeps reads apart from those that are not. The lease is checked again when the bytes are there (P6).
#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr int kMostRereads = 3;
constexpr Duration kReread = milliseconds(20);  // four times as long each time: what is bad is found within that
}  // namespace

SeatSet WritePath::readable_copies() const {
  SeatSet copies;
  if (r_.disk_usable && r_.membership.member(r_.self())) copies.insert(r_.self());
  for (Seat seat : r_.data_peers()) {
    if (r_.membership.member(seat) && r_.peer(seat).replicating) copies.insert(seat);
  }
  return copies;
}

SeatSet WritePath::other_copies() const { return readable_copies() - SeatSet{r_.self()}; }

size_t WritePath::reads_under_way(Seat seat) const {
  return static_cast<size_t>(std::count_if(ops_.begin(), ops_.end(), [this, seat](const Op& op) {
    const bool reads = op.id.value != 0 && op.kind == OpKind::read && op.stage == OpStage::running;
    return reads && (seat == r_.self() ? op.local_pending : op.waiting.contains(seat));
  }));
}

// `copies` is not empty.
Seat WritePath::choose_copy(SeatSet copies) {
  const Seat local = r_.self();
  Seat chosen = copies.contains(local) ? local : *copies.begin();
  switch (r_.ctx.config.read_balancing) {
    case ReadBalancing::prefer_local:
      break;
    case ReadBalancing::round_robin:
      chosen = *copies.begin();
      for (Seat seat : copies) {
        if (last_read_from_ != kNoSeat && seat > last_read_from_) {
          chosen = seat;
          break;
        }
      }
      last_read_from_ = chosen;
      break;
    case ReadBalancing::least_pending:
      for (Seat seat : copies) {
        if (reads_under_way(seat) < reads_under_way(chosen)) chosen = seat;
      }
      break;
  }
  return chosen;
}

void WritePath::start_read(Op& op) {
  op.stage = OpStage::running;
  SeatSet copies = readable_copies();
  if (MUTANT(read_from_dropped_copy)) copies = r_.data_peers();
  if (copies.empty()) {  // frozen until a copy comes back, which may be well again
    op.failed = {};
    return parked_reads_.push_back(op.id);
  }
  if ((copies - op.failed).empty()) {
    op.status = IoStatus::io_error;
    return try_finish(op);
  }
  const Seat seat = choose_copy(copies - op.failed);
  if (seat == r_.self()) return read_locally(op);
  op.started = r_.ctx.now;
  op.waiting = SeatSet{seat};
  op.lost = {};
  r_.send(seat, ReadRequest{r_.membership.stamp(), op.id, op.range});
}

void WritePath::read_locally(Op& op) {
  op.payload = {kCorePayloadBit | r_.ctx.fresh_id()};
  op.local_pending = true;
  r_.disk.submit(OpKind::read, op.range, false, op.payload, [this, id = op.id, payload = op.payload](IoStatus status) {
    Op* reading = find(id);
    if (reading == nullptr) return;
    reading->local_pending = false;
    if (status == IoStatus::ok) return try_finish(*reading);
    r_.release(payload);
    reading->payload = {};
    could_not_read(id, r_.self(), status);
  });
}

void WritePath::read_reply(Seat from, OpId id, IoStatus status, PayloadId payload) {
  Op* op = find(id);
  if (op == nullptr || !op->waiting.contains(from)) return r_.release(payload);
  if (op->stage == OpStage::fetching) return fetched(*op, status, payload);
  if (op->kind != OpKind::read) return r_.release(payload);
  if (op->looks_at != kNoSeat) {
    r_.release(payload);
    return looked_there(*op, status);
  }
  op->waiting = {};
  op->lost = {};
  if (status == IoStatus::ok) {
    op->payload = payload;
    return try_finish(*op);
  }
  r_.release(payload);
  could_not_read(id, from, status);
}

// Another copy answers, and what cannot be read there is written anew from it; the last copy passes the error on. A disk here that fails time
// and again is given up, as a peer does with its own; one that only gives wrong bytes is not, since they are found out.
void WritePath::could_not_read(OpId id, Seat seat, IoStatus status) {
  Op* op = find(id);
  op->failed.insert(seat);
  const SeatSet others = readable_copies() - op->failed;
  // A heal waits behind this read, which holds the range.
  if (!others.empty() && !look_for_bad_blocks(op->range, seat, *others.begin(), status)) r_.disk_failed(Reason::disk_failed);
  op = find(id);
  if (op == nullptr) return;
  if (others.empty() && read_again(*op, seat, status)) return;
  start_read(*op);
}

// Each copy has a bad block in the range, and hardly the same one: they are written anew, each from another copy, and it is read once more
// behind that.
bool WritePath::read_again(Op& op, Seat last, IoStatus status) {
  const SeatSet others = readable_copies() - SeatSet{last};
  if (others.empty() || op.range.length <= kBlockBytes || op.rereads == kMostRereads) return false;
  const OpId id = op.id;
  if (!look_for_bad_blocks(op.range, last, *others.begin(), status)) r_.disk_failed(Reason::disk_failed);
  Op* waiting = find(id);
  if (waiting == nullptr) return true;
  waiting->failed = {};
  waiting->again = r_.ctx.now + Duration{kReread.ns << (2 * waiting->rereads++)};
  waiting->stage = OpStage::gate;
  rereads_.push_back(id);
  if (std::exchange(waiting->in_gate, false)) leave_gate(id);
  return true;
}

void WritePath::go_on_rereading() {
  std::vector<OpId> waiting;
  waiting.swap(rereads_);
  for (OpId id : waiting) {
    Op* op = find(id);
    if (op == nullptr) continue;
    if (op->again > r_.ctx.now) {
      rereads_.push_back(id);
    } else {
      run_if_free(*op, RangeGate::Mode::shared);
    }
  }
}

}  // namespace lockstep
