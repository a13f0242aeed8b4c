#include "core/verify/verifier.h"

#include <algorithm>
#include <bit>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/resync/block_runs.h"
#include "core/volumes.h"

namespace lockstep {

namespace {

constexpr size_t kWindow = 4;       // chunks in flight
constexpr size_t kHealsAtOnce = 8;  // of a repair
constexpr size_t kMostHeals = 32;   // of what cannot be read; then it waits for them

}  // namespace

// Whoever orders the writes; without a Primary nothing is written, and after a clean end every member has what was.
bool Verifier::can_compare() const {
  const auto& tenure = r_.membership.adopted();
  if (!tenure || r_.membership.adopting() || !r_.disk_usable || r_.ctx.record.inconsistent || r_.ctx.record.doubtful ||
      !r_.membership.member(r_.self()))
    return false;
  return r_.membership.is_primary() || (!tenure->primary && tenure->clean && !r_.admin.stopping());
}

bool Verifier::comparable(Seat peer) const {
  const Peer& p = r_.peer(peer);
  const bool current = r_.membership.member(peer) && r_.good_copy(peer) && p.adopted == r_.membership.stamp();
  return current && !r_.source.active(peer) && (p.replicating || !r_.membership.is_primary());
}

Reason Verifier::why_not_comparable(Seat peer) const {
  bool any = false;
  for (Seat seat : r_.data_peers()) {
    if ((peer != kNoSeat && seat != peer) || !r_.peer(seat).met) continue;
    if (!r_.feed.active(seat)) return Reason::peer_not_connected;
    any = true;
  }
  return any ? Reason::peer_follows : Reason::peer_not_connected;
}

Reason Verifier::start(Seat peer, const Range& range) {
  if (!r_.disk_usable) return Reason::no_disk;
  if (r_.membership.adopted() && !r_.membership.member(r_.self())) return Reason::no_current_copy;
  if (!can_compare()) return r_.membership.adopted() ? Reason::verify_elsewhere : Reason::never_used;
  if (r_.admin.shrinks_to() != UINT64_MAX) return Reason::busy;
  const uint64_t blocks = blocks_of(span_of(*r_.membership.adopted()));
  const uint64_t first = range.offset / kBlockBytes;
  const uint64_t end = range.empty() ? blocks : std::min(blocks, blocks_of(range.end()));
  if (first >= end) return Reason::beyond_the_end;
  bool any = false;
  for (Seat seat : r_.data_peers()) {
    if (peer != kNoSeat && seat != peer) continue;
    if (runs_[seat.value].on) return Reason::verify_active;
    completed_.erase(seat);
    any = any || comparable(seat);
  }
  if (!any) return why_not_comparable(peer);
  for (Seat seat : r_.data_peers()) {
    if ((peer != kNoSeat && seat != peer) || !comparable(seat)) continue;
    Run& run = runs_[seat.value];
    run = Run{};
    run.on = true;
    run.first = run.cursor = first;
    run.end = end;
    run.started = run.progress = r_.ctx.now;
    r_.ctx.note(Notice::verify_started, seat, total(seat));
  }
  return Reason::none;
}

void Verifier::stop(Seat peer) {
  for (Seat seat : r_.data_peers()) {
    if (peer != kNoSeat && seat != peer) continue;
    if (active(seat)) abort(seat);
    if (repairing(seat)) repaired(seat);
  }
}

void Verifier::ends_at(uint64_t bytes) {
  stop(kNoSeat);
  for (BitVector& found : found_) {
    if (blocks_of(bytes) < found.size()) found.clear_range(blocks_of(bytes), found.size());
  }
}

Reason Verifier::repair(Seat from) {
  if (!r_.membership.serving()) return Reason::verify_elsewhere;
  if (r_.admin.shrinks_to() != UINT64_MAX) return Reason::busy;
  if (from == r_.self() && (!r_.disk_usable || !r_.membership.member(from))) return Reason::no_disk;
  if (from != r_.self() && !comparable(from)) return why_not_comparable(from);
  for (Seat peer : r_.data_peers()) {
    if (from == r_.self() || peer == from) repairs_[peer.value] = {true, from, 0, 0};
  }
  return Reason::none;
}

// What a heal has written is taken off the list by the write itself (written()).
void Verifier::go_on_repairing(Seat peer) {
  Repair& repair = repairs_[peer.value];
  const BitVector& found = found_[peer.value];
  if (repair.on && !r_.membership.is_primary() && !r_.membership.adopting()) return repaired(peer);
  while (repair.on && r_.write_path.heals() < kHealsAtOnce) {
    const uint64_t first = found.next_set(repair.cursor);
    if (first >= found.size()) {
      if (r_.write_path.heals() > 0) return;  // what is under way may be ours
      return repaired(peer);
    }
    const uint64_t end = std::min(found.next_clear(first, first + kLookBlocks), first + kLookBlocks);
    // Without its lease for a moment, it goes on when that is back.
    if (!r_.write_path.heal({first * kBlockBytes, (end - first) * kBlockBytes}, repair.from)) return;
    repair.cursor = end;
    repair.begun += end - first;
  }
}

void Verifier::repaired(Seat peer) {
  Repair& repair = repairs_[peer.value];
  r_.ctx.note(Notice::repair_finished, repair.from, repair.begun);
  repair.on = false;
}

// The Primary's business, counted from when it became that, and from the beginning of the one before. What cannot be compared now is left
// for the next time.
void Verifier::begin_when_due() {
  const Duration interval = r_.ctx.config.verify_interval;
  if (interval == Duration{} || !r_.membership.is_primary()) {
    due_ = kNever;
    return;
  }
  if (due_ == kNever) due_ = r_.ctx.now + interval;
  if (r_.ctx.now < due_) return;
  due_ = r_.ctx.now + interval;
  start(kNoSeat, {});
}

void Verifier::pump() {
  begin_when_due();
  for (Seat peer : r_.data_peers()) {
    go_on_repairing(peer);
    Run& run = runs_[peer.value];
    if (!run.on || r_.membership.adopting()) continue;  // what comes of it will be known
    if (!can_compare() || !comparable(peer)) {
      abort(peer);
      continue;
    }
    const bool healing = r_.write_path.heals() >= kMostHeals;
    while (!healing && run.chunks.size() < kWindow && run.left() && pace_.may_begin(r_.ctx.now)) next_chunk(peer);
    if (run.chunks.empty() && !run.left() && r_.write_path.heals() == 0) end(peer, Notice::verify_finished, differing(peer));
  }
}

void Verifier::next_chunk(Seat peer) {
  Run& run = runs_[peer.value];
  const uint64_t longest = std::min(r_.ctx.config.resync_chunk_bytes / kBlockBytes, kLookBlocks);
  Range range;
  if (!run.singly.empty()) {
    range = run.singly.front();
    run.singly.pop_front();
  } else {
    const uint64_t first = run.cursor;
    run.cursor = std::min(run.end, first + longest);
    const uint64_t volume = span_of(*r_.membership.adopted());
    range = {first * kBlockBytes, std::min(run.cursor * kBlockBytes, volume) - first * kBlockBytes};
  }
  const OpId op{kVerifyOpBit | r_.ctx.fresh_id()};
  run.chunks[op] = Chunk{range, {}, false};
  holders_[op] = peer;
  pace_.chunk_begins(r_.ctx.now, range.length);
  if (MUTANT(compared_without_gate) || r_.write_path.hold_range(op, range)) range_held(op);
}

void Verifier::range_held(OpId op) {
  const auto holder = holders_.find(op);
  if (holder == holders_.end()) return;  // being aborted
  const Seat peer = holder->second;
  Chunk& chunk = runs_[peer.value].chunks.at(op);
  chunk.payload = {kCorePayloadBit | r_.ctx.fresh_id()};
  const DiskIo read{{}, OpKind::read, chunk.range, false, chunk.payload, Look::digests, 0};
  r_.disk.submit(read, [this, peer, op, payload = chunk.payload](IoStatus status, BlockMask) {
    if (!holders_.contains(op)) return r_.release(payload);  // aborted meanwhile
    read_done(peer, op, status);
  });
}

void Verifier::read_done(Seat peer, OpId op, IoStatus status) {
  Run& run = runs_[peer.value];
  Chunk& chunk = run.chunks.at(op);
  if (status != IoStatus::ok) {
    r_.release(chunk.payload);
    chunk.payload = {};
    if (status == IoStatus::corrupt) r_.ctx.note(Notice::rot_found, peer, chunk.range.offset);
    return unreadable(peer, op, peer);
  }
  if (waiting_since(peer) == kNever) run.progress = r_.ctx.now;
  r_.send(peer, CompareRequest{r_.membership.stamp(), op, chunk.range}, chunk.payload);
  r_.release(chunk.payload);
  chunk.payload = {};
  chunk.sent = true;
}

bool Verifier::compare_reply(Seat from, const CompareReply& reply) {
  if ((reply.op.value & kVerifyOpBit) == 0) return false;
  Run& run = runs_[from.value];
  const auto at = run.chunks.find(reply.op);
  if (at == run.chunks.end()) return true;
  run.progress = r_.ctx.now;
  if (reply.status == IoStatus::shut_down) {  // another tenure has begun there
    abort(from);
  } else if (reply.status != IoStatus::ok) {
    unreadable(from, reply.op, r_.self());
  } else {
    record(from, at->second.range, reply.differing);
    compared(from, reply.op);
  }
  return true;
}

// One of the two cannot read it: it is compared block by block, and what cannot be read alone is written anew from the other one. Where
// nobody is Primary that cannot be done: it is on the list of what differs.
void Verifier::unreadable(Seat peer, OpId op, Seat healthy) {
  Run& run = runs_[peer.value];
  const Range range = run.chunks.at(op).range;
  if (range.length > kBlockBytes) {
    for (uint64_t at = range.offset; at < range.end(); at += kBlockBytes)
      run.singly.push_back({at, std::min(kBlockBytes, range.end() - at)});
    compared(peer, op);
    run.done -= blocks_of(range.length);
  } else if (!r_.membership.is_primary() || r_.write_path.heal(range, healthy)) {
    record(peer, range, 1);  // until it is written, which the heal does if the other copy can be read
    compared(peer, op);
  } else {
    abort(peer);
  }
}

void Verifier::compared(Seat peer, OpId op) {
  Run& run = runs_[peer.value];
  const Range range = run.chunks.at(op).range;
  run.done += blocks_of(range.length);
  pace_.chunk_ended(r_.ctx.now, range.length);
  run.chunks.erase(op);
  holders_.erase(op);
  if (!MUTANT(compared_without_gate)) r_.write_path.let_go(op);
}

void Verifier::record(Seat peer, const Range& range, BlockMask differing) {
  BitVector& found = found_[peer.value];
  if (differing != 0 && found.size() == 0) found = BitVector(blocks_of(r_.ctx.record.size_bytes));
  if (found.size() == 0) return;
  for_each_part(range, differing, [&found](const Range& part, bool differs) {
    const uint64_t first = part.offset / kBlockBytes;
    const uint64_t count = blocks_of(part.length);
    differs ? found.set_range(first, count) : found.clear_range(first, count);
  });
}

// Only blocks that were written as a whole.
void Verifier::written(Seat peer, const Range& range) {
  BitVector& found = found_[peer.value];
  if (found.count() == 0) return;
  const uint64_t first = blocks_of(range.offset);
  const uint64_t end = range.end() >= r_.ctx.record.size_bytes ? found.size() : range.end() / kBlockBytes;
  if (first < end) found.clear_range(first, end - first);
}

void Verifier::written(const Range& range) {
  for (Seat peer : r_.data_peers()) {
    if (r_.membership.member(peer)) written(peer, range);
  }
}

void Verifier::forget(Seat peer) { found_[peer.value] = {}; }

void Verifier::abort(Seat peer) { end(peer, Notice::verify_aborted, 0); }

void Verifier::end(Seat peer, Notice notice, uint64_t a) {
  Run& run = runs_[peer.value];
  std::vector<OpId> held;
  for (const auto& [op, chunk] : run.chunks) {
    held.push_back(op);
    pace_.chunk_ended(r_.ctx.now, 0);
  }
  run = Run{};
  if (notice == Notice::verify_finished) completed_.insert(peer);
  r_.ctx.note(notice, peer, a);
  for (OpId op : held) holders_.erase(op);  // all of them first: see ResyncSource::abort
  for (OpId op : held) {
    if (!MUTANT(compared_without_gate)) r_.write_path.let_go(op);
  }
}

Instant Verifier::next_deadline() const {
  if (pace_.may_begin(r_.ctx.now)) return due_;  // what is begun next follows from an answer
  for (Seat peer : r_.data_peers()) {
    const Run& run = runs_[peer.value];
    if (run.on && run.chunks.size() < kWindow && run.left()) return std::min(due_, pace_.next());
  }
  return due_;
}

Instant Verifier::waiting_since(Seat peer) const {
  const Run& run = runs_[peer.value];
  const bool asked = std::any_of(run.chunks.begin(), run.chunks.end(), [](const auto& one) { return one.second.sent; });
  return run.on && asked ? run.progress : kNever;
}

std::vector<Range> Verifier::extents(Seat peer, size_t most) const {
  const BitVector& found = found_[peer.value];
  std::vector<Range> extents;
  for (uint64_t block = found.next_set(0); block < found.size();) {
    const uint64_t extent = block / kBlocksPerExtent;
    const uint64_t offset = extent * kExtentBytes;
    const uint64_t length = std::min(kExtentBytes, r_.ctx.record.size_bytes - offset);
    if (!extents.empty() && extents.back().end() == offset) {
      extents.back().length += length;
    } else {
      if (extents.size() == most) break;
      extents.push_back({offset, length});
    }
    block = found.next_set((extent + 1) * kBlocksPerExtent);
  }
  return extents;
}

}  // namespace lockstep
