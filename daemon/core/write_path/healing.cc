// A range whose copy cannot be read here, or is known to be wrong somewhere, is written anew on every member from one that has it right. It
// goes the way of a client's write: it waits for what overlaps it, holds the range while it reads, and is acknowledged by every member.
#include <algorithm>

#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

namespace {
constexpr size_t kMostHeals = 64;
constexpr uint64_t kMostProbes = 1024;  // blocks; what lies behind them is found when it is read again
}  // namespace

bool WritePath::heal(const Range& range, Seat from) {
  if (!r_.membership.serving() || heals_ >= kMostHeals) return false;
  const uint64_t volume = r_.membership.end_of_service();
  const uint64_t begin = range.offset / kBlockBytes * kBlockBytes;
  const uint64_t end = std::min(volume, (range.end() + kBlockBytes - 1) / kBlockBytes * kBlockBytes);
  if (begin >= end) return false;
  Op& op = make_op(OpKind::write, {begin, end - begin});
  op.heals_from = from;
  ++heals_;
  run_if_free(op, RangeGate::Mode::exclusive);
  return true;
}

bool WritePath::look_for_bad_blocks(const Range& range, Seat at, Seat from, IoStatus failure) {
  const bool here = at == r_.self();
  const bool rot = failure == IoStatus::corrupt;
  if (here && !rot && ++failed_reads_ > r_.ctx.config.max_failed_reads) return false;
  if (here) r_.ctx.note(rot ? Notice::rot_found : Notice::read_failed, from, range.offset);
  const uint64_t first = range.offset / kBlockBytes;
  const uint64_t end = std::min((range.end() + kBlockBytes - 1) / kBlockBytes, first + kMostProbes);
  for (uint64_t block = first; block < end; ++block) {
    const uint64_t offset = block * kBlockBytes;
    const Range one{offset, std::min(kBlockBytes, r_.ctx.record.size_bytes - offset)};
    here ? heal_if_bad_here(one, from) : heal_if_bad_there(one, at, from);
  }
  return true;
}

// Without holding the range, so that a read of many blocks that are good costs the writers nothing.
void WritePath::heal_if_bad_here(const Range& block, Seat from) {
  const PayloadId payload{kCorePayloadBit | r_.ctx.fresh_id()};
  r_.disk.submit(OpKind::read, block, false, payload, [this, block, from, payload](IoStatus status) {
    r_.release(payload);
    if (status != IoStatus::ok && r_.disk_usable) heal(block, from);
  });
}

void WritePath::heal_if_bad_there(const Range& block, Seat at, Seat from) {
  if (looks_ >= kMostProbes) return;  // they are looked at when they are read again
  ++looks_;
  Op& op = make_op(OpKind::read, block);
  op.stage = OpStage::running;
  op.looks_at = at;
  op.heals_from_then = from;
  op.waiting = SeatSet{at};
  r_.send(at, ReadRequest{r_.membership.stamp(), op.id, block});
}

void WritePath::looked_there(Op& op, IoStatus status) {
  const Range block = op.range;
  const Seat at = op.looks_at;
  const Seat from = op.heals_from_then;
  retire(op);
  if (status != IoStatus::ok && readable_copies().contains(at)) heal(block, from);
}

void WritePath::fetch(Op& op) {
  op.stage = OpStage::fetching;
  op.started = r_.ctx.now;
  // It waited for its turn: the copy that was right may have left the set meanwhile, and lack what was written since.
  if (!readable_copies().contains(op.heals_from)) return retire_unhealed(op, IoStatus::io_error);
  if (op.heals_from == r_.self()) {
    op.payload = {kCorePayloadBit | r_.ctx.fresh_id()};
    op.local_pending = true;
    return r_.disk.submit(OpKind::read, op.range, false, op.payload, [this, id = op.id, payload = op.payload](IoStatus status) {
      Op* waiting = find(id);
      if (waiting == nullptr) return;
      waiting->local_pending = false;
      waiting->payload = {};
      fetched(*waiting, status, payload);
    });
  }
  op.waiting = SeatSet{op.heals_from};
  r_.send(op.heals_from, ReadRequest{r_.membership.stamp(), op.id, op.range});
}

void WritePath::retire_unhealed(Op& op, IoStatus status) {
  op.status = status;
  retire(op);
}

void WritePath::fetched(Op& op, IoStatus status, PayloadId payload) {
  op.waiting = op.lost = {};
  if (status != IoStatus::ok) {
    r_.release(payload);
    return retire_unhealed(op, status);
  }
  op.payload = payload;
  start_change(op);
}

}  // namespace lockstep
