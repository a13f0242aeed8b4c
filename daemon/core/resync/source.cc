#include "core/resync/source.h"

#include <algorithm>
#include <bit>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/resync/block_runs.h"

namespace lockstep {

namespace {
constexpr Duration kDeclinedFor = seconds(5);
constexpr Duration kBadBlocksAgain = seconds(5);  // the first time; twice as long each time
constexpr Duration kLongestPause = seconds(60);
}  // namespace

bool ResyncSource::paused(Seat peer) const { return r_.admin.paused(peer) || r_.peer(peer).paused; }

bool ResyncSource::held_back(Seat peer) const {
  if (!paused(peer)) return false;
  const bool copying = runs_[peer.value].phase == Phase::copying || runs_[peer.value].phase == Phase::waiting_for_map;
  return copying || (r_.membership.is_resync_source() && can_begin(peer));
}

bool ResyncSource::can_begin(Seat peer) const {
  const Peer& p = r_.peer(peer);
  // Not while a join may have been decided: that must be known first, and undone if this node lost the peer meanwhile.
  return runs_[peer.value].phase == Phase::none && r_.ctx.now >= ask_again_[peer.value] && p.met && p.disk_usable &&
         !r_.membership.completions_need(peer) && p.adopted == r_.membership.stamp() && !r_.admin.nodes().leaving(peer) &&
         r_.feed.resync_may_begin(peer);
}

void ResyncSource::pump() {
  const bool source = r_.membership.is_resync_source();
  for (Seat peer : r_.data_peers()) {
    Run& run = runs_[peer.value];
    if (!source) {
      // While a tenure is being adopted the answer is not known yet; it will be asked again.
      if (run.phase != Phase::none && !r_.membership.adopting()) abort(peer);
      continue;
    }
    // Begun before its target was to follow (a caretaker that became Primary).
    if (run.phase != Phase::none && r_.membership.feeds(peer) && !r_.feed.active(peer) && !r_.feed.ahead(peer)) abort(peer);
    // A copy that is still of use as it is becomes a mixture only when copying may go on.
    if (can_begin(peer) && !paused(peer)) begin(peer);
    if (run.phase == Phase::copying) copy(peer);
  }
}

// From this step on new writes flow to the target. They follow ResyncBegin on the same lane, so the target takes them after it
// has marked itself Inconsistent.
void ResyncSource::begin(Seat peer) {
  Run& run = runs_[peer.value];
  run = Run{};
  run.window = ResyncWindow(r_.ctx.config.resync_window);
  run.phase = Phase::waiting_for_map;
  run.started = r_.ctx.now;
  run.progress = r_.ctx.now;
  Peer& p = r_.peer(peer);
  const Uuid& remembered = r_.ctx.record.peers[peer.value].disk;
  const bool common = !remembered.is_nil() && remembered == p.hello->disk && p.remembers == r_.ctx.record.disk;
  run.everything = !common;
  if (!common) {
    r_.dirty.mark_all(peer);
    r_.verifier.forget(peer);
  }
  p.replicating = true;
  p.inconsistent = true;
  if (r_.membership.feeds(peer)) r_.feed.begin(peer);
  r_.send(peer, ResyncBegin{r_.membership.stamp(), !common});
}

// Whatever the stamp: a run goes on under later tenures. A late word about a run that was aborted costs the one after it a few seconds.
void ResyncSource::declined(Seat from) {
  if (runs_[from.value].phase != Phase::waiting_for_map) return;
  abort(from);
  r_.peer(from).inconsistent = !r_.peer(from).whole;  // nothing was begun there: what it said last counts again
  ask_again_[from.value] = r_.ctx.now + kDeclinedFor;
}

void ResyncSource::ask_again(Seat from) { ask_again_[from.value] = kLongAgo; }

Instant ResyncSource::next_deadline() const {
  Instant due = kNever;
  for (Seat peer : r_.data_peers()) {
    if (ask_again_[peer.value] > r_.ctx.now) due = std::min(due, ask_again_[peer.value]);
    const Run& run = runs_[peer.value];
    if (run.phase == Phase::copying && run.next_pass > r_.ctx.now) due = std::min(due, run.next_pass);
    const bool waits = run.phase == Phase::copying && !paused(peer) && has_room(peer);
    if (waits && !pace_.may_begin(r_.ctx.now)) due = std::min(due, pace_.next());
  }
  return due;
}

void ResyncSource::heard(Seat peer) { runs_[peer.value].progress = r_.ctx.now; }

Instant ResyncSource::waiting_since(Seat peer) const {
  const Run& run = runs_[peer.value];
  bool asked = run.phase == Phase::waiting_for_map || run.phase == Phase::preparing || run.flush.value != 0;
  for (const auto& [op, chunk] : run.chunks) asked = asked || chunk.sent;
  return run.phase != Phase::none && asked ? run.progress : kNever;
}

void ResyncSource::map_received(Seat from, const ResyncMap& map) {
  Run& run = runs_[from.value];
  run.progress = r_.ctx.now;
  if (run.phase != Phase::waiting_for_map) return;
  for (const BlockRun& dirty : map.runs) {
    const uint64_t blocks = r_.dirty.of(from).size();
    if (dirty.first >= blocks) continue;
    r_.dirty.mark_blocks(from, dirty.first, std::min(dirty.count, blocks - dirty.first));
  }
  if (!map.last) return;
  run.phase = Phase::copying;
  run.order.begin_pass(r_.dirty, from, r_.ctx.config.resync_by_age);
  run.total = r_.dirty.of(from).count();
  r_.ctx.note(Notice::resync_started, from, run.total);
}

void ResyncSource::copy(Seat peer) {
  Run& run = runs_[peer.value];
  if (MUTANT(join_with_bits_left) && run.copied > 0) run.order.pass_all();
  // A quarter at a time, so that what is adjacent is submitted together: the block layer makes large requests of it on both nodes, with which
  // a disk does up to twice as much.
  run.filling = has_room(peer);
  while (run.filling && !paused(peer) && pace_.may_begin(r_.ctx.now) && next_chunk(peer)) run.filling = has_room(peer);
  const bool pass_done = run.chunks.empty() && run.differing.empty() && run.order.over();
  const bool stands = run.chunks.empty() && (pass_done || paused(peer));
  if (run.flush.value == 0 && !run.written.empty() && (stands || flush_due(run))) return flush(peer);
  if (!pass_done || run.flush.value != 0) return;
  if (owed(peer) > 0 && !MUTANT(join_with_bits_left)) {
    if (r_.ctx.now < run.next_pass) return;
    run.told = 0;
    run.order.begin_pass(r_.dirty, peer, r_.ctx.config.resync_by_age);
    if (run.next_pass != kLongAgo) ++run.passes;
  } else {
    finish(peer);
  }
}

// Dirty, and not because of what is on its way there anyhow.
uint64_t ResyncSource::owed(Seat peer) const {
  const uint64_t dirty = r_.dirty.of(peer).count();
  return dirty - std::min(dirty, r_.feed.blocks_in_flight(peer));
}

// What was compared and differs, or what is dirty next; empty when this pass has nothing more to begin.
Range ResyncSource::next_range(Seat peer) {
  Run& run = runs_[peer.value];
  if (!run.differing.empty()) {
    const Range range = run.differing.front();
    run.differing.pop_front();
    return range;
  }
  const BitVector& dirty = r_.dirty.of(peer);
  const auto in_flight = [this, peer](uint64_t block) { return r_.feed.in_flight(peer, block); };
  uint64_t first = run.order.next(dirty);
  for (; first < dirty.size() && in_flight(first); first = run.order.next(dirty)) run.order.pass(first + 1);
  if (first >= dirty.size()) return {};
  const uint64_t longest = std::min(r_.ctx.config.resync_chunk_bytes / kBlockBytes, kLookBlocks);
  // A chunk stays within one extent: it takes one intent bit at the target.
  const uint64_t extent_end = (first / kBlocksPerExtent + 1) * kBlocksPerExtent;
  uint64_t end = std::min({dirty.next_clear(first, first + longest), first + longest, extent_end, dirty.size()});
  for (uint64_t block = first + 1; block < end; ++block) {
    if (in_flight(block)) end = block;
  }
  run.place = run.order.place();
  run.order.pass(end);
  return {first * kBlockBytes, std::min(end * kBlockBytes, r_.ctx.record.size_bytes) - first * kBlockBytes};
}

// A crash leaves extents that may differ anywhere and hardly do.
bool ResyncSource::in_doubt_as_a_whole(Seat peer, uint64_t extent) const {
  const BitVector& dirty = r_.dirty.of(peer);
  const uint64_t first = extent * kBlocksPerExtent;
  const uint64_t end = std::min(first + kBlocksPerExtent, dirty.size());
  return first < end && dirty.next_clear(first, end) >= end;
}

// Where digests are kept, those extents are compared whatever csums-alg says: the crash has made their digests at rest worthless on the copy
// that was writing, and what is found to be equal is known again.
bool ResyncSource::compares_first(Seat peer, const Range& range) {
  if (r_.ctx.config.resync_digests) return true;
  Run& run = runs_[peer.value];
  if (!r_.ctx.config.digests_at_rest || run.everything) return false;
  const uint64_t extent = range.offset / kExtentBytes;
  if (range.offset % kExtentBytes == 0) {
    run.compared.reset();
    if (in_doubt_as_a_whole(peer, extent)) run.compared = extent;
  }
  return run.compared == extent;
}

bool ResyncSource::next_chunk(Seat peer) {
  Run& run = runs_[peer.value];
  const bool differs = !run.differing.empty();
  const Range range = next_range(peer);
  if (range.empty()) return false;
  const OpId op{kResyncOpBit | r_.ctx.fresh_id()};
  run.chunks[op] = Chunk{range, {}, false, !differs && compares_first(peer, range), run.place, {}};
  holders_[op] = peer;
  pace_.chunk_begins(r_.ctx.now, range.length);
  if (MUTANT(resync_without_gate) || r_.write_path.hold_range(op, range)) range_held(op);
  return true;
}

void ResyncSource::range_held(OpId op) {
  const auto holder = holders_.find(op);
  if (holder == holders_.end()) return;  // being aborted
  const Seat peer = holder->second;
  Chunk& chunk = runs_[peer.value].chunks.at(op);
  chunk.payload = {kCorePayloadBit | r_.ctx.fresh_id()};
  chunk.begun = r_.ctx.now;  // waiting for a client's operation says nothing about the disks
  const Look look = chunk.digests ? Look::digests : Look::zeroes;
  const DiskIo read{{}, OpKind::read, chunk.range, false, chunk.payload, look, 0};
  r_.disk.submit(read, [this, peer, op, payload = chunk.payload](IoStatus status, BlockMask zeroes) {
    const auto at = holders_.find(op);
    if (at == holders_.end()) return r_.release(payload);  // aborted meanwhile
    read_done(peer, op, status, zeroes);
  });
}

void ResyncSource::read_done(Seat peer, OpId op, IoStatus status, BlockMask zeroes) {
  Chunk& chunk = runs_[peer.value].chunks.at(op);
  if (status != IoStatus::ok) {
    r_.release(chunk.payload);
    chunk.payload = {};
    return status == IoStatus::corrupt ? rot_found(peer, op) : r_.disk_failed(Reason::disk_failed);
  }
  if (waiting_since(peer) == kNever) runs_[peer.value].progress = r_.ctx.now;
  if (chunk.digests) {
    r_.send(peer, CompareRequest{r_.membership.stamp(), op, chunk.range}, chunk.payload);
  } else {
    const bool nothing_else = static_cast<uint64_t>(std::popcount(zeroes)) * kBlockBytes == chunk.range.length;
    const uint64_t ahead = look_ahead(peer, chunk);
    r_.send(peer, ResyncWrite{r_.membership.stamp(), op, OpKind::write, chunk.range, zeroes, ahead},
            nothing_else ? PayloadId{} : chunk.payload);
  }
  if (!MUTANT(resync_payload_kept)) r_.release(chunk.payload);
  chunk.payload = {};
  chunk.sent = true;
}

// The target writes nothing in an extent before its intent bit is durable, which takes two flushes of a busy disk. Told in time, it sets
// many bits at once and no write waits (a resync spent three quarters of its time on that). Told again when half of it is behind. Where digests
// go first most of what is dirty may turn out to be equal, and is not written.
uint64_t ResyncSource::look_ahead(Seat peer, const Chunk& chunk) {
  const uint64_t reach = std::min(r_.ctx.config.resync_ahead, kMostAhead);
  const uint64_t extent = chunk.range.offset / kExtentBytes;
  Run& run = runs_[peer.value];
  const uint64_t here = run.order.by_age() ? chunk.place : extent;
  if (reach == 0 || r_.ctx.config.resync_digests || here + reach / 2 < run.told) return 0;
  run.told = here + reach;
  const BitVector& dirty = r_.dirty.of(peer);
  uint64_t ahead = 0;
  for (uint64_t i = 0; i < reach; ++i) {
    if (!run.order.soon(chunk.place, extent + 1 + i, reach)) continue;
    if (!dirty.any_in((extent + 1 + i) * kBlocksPerExtent, kBlocksPerExtent)) continue;
    const bool compared = r_.ctx.config.digests_at_rest && !run.everything && in_doubt_as_a_whole(peer, extent + 1 + i);
    if (!compared) ahead |= uint64_t{1} << i;
  }
  if (run.order.by_age() && ahead == 0) run.told = here;  // nothing within reach: the next extent may have more
  return ahead;
}

// Bytes that are known to be wrong go nowhere. Block by block all others are copied; a bad one is written anew from another copy of the set, or
// waits here until a client writes it: the target is not taken in before.
void ResyncSource::rot_found(Seat peer, OpId op) {
  Run& run = runs_[peer.value];
  const Range range = run.chunks.at(op).range;
  over(peer, op);
  if (range.length > kBlockBytes) {
    for (uint64_t at = range.offset; at < range.end(); at += kBlockBytes)
      run.differing.push_back({at, std::min(kBlockBytes, range.end() - at)});
    return;
  }
  run.next_pass = r_.ctx.now + std::min(Duration{kBadBlocksAgain.ns << std::min(run.passes, 4)}, kLongestPause);
  const SeatSet others = r_.write_path.other_copies();
  if (run.passes == 0) r_.ctx.note(Notice::rot_found, others.empty() ? kNoSeat : *others.begin(), range.offset);
  if (!others.empty()) static_cast<void>(r_.write_path.heal(range, *others.begin()));
}

bool ResyncSource::write_reply(Seat from, OpId op, IoStatus status) {
  if ((op.value & kResyncOpBit) == 0) return false;
  if (!runs_[from.value].chunks.contains(op)) return true;
  if (status != IoStatus::ok) {
    refused(from);
  } else {
    landed(from, op, 0);
  }
  return true;
}

bool ResyncSource::compare_reply(Seat from, const CompareReply& reply) {
  if ((reply.op.value & kResyncOpBit) == 0) return false;
  if (!runs_[from.value].chunks.contains(reply.op)) return true;
  if (reply.status == IoStatus::shut_down) {
    abort(from);
    return true;
  }
  // What cannot be read there is written anew.
  landed(from, reply.op, reply.status == IoStatus::ok ? reply.differing : ~BlockMask{0});
  return true;
}

void ResyncSource::refused(Seat peer) {
  r_.peer(peer).disk_usable = false;
  abort(peer);
}

// The target has what it was sent, or had it before; what differs is yet to be copied.
void ResyncSource::landed(Seat peer, OpId op, BlockMask differing) {
  Run& run = runs_[peer.value];
  const Range range = run.chunks.at(op).range;
  run.window.landed(run.chunks.at(op).begun, r_.ctx.now);
  run.progress = r_.ctx.now;
  for_each_part(range, differing, [&](const Range& part, bool differs) {
    if (differs) return run.differing.push_back(part);
    r_.verifier.written(peer, part);
    const uint64_t blocks = (part.length + kBlockBytes - 1) / kBlockBytes;
    run.copied += blocks;
    if (r_.feed.active(peer)) return r_.feed.copied(peer, part);
    run.written.push_back(part);
    run.written_blocks += blocks;
  });
  over(peer, op);
}

void ResyncSource::over(Seat peer, OpId op) {
  Run& run = runs_[peer.value];
  pace_.chunk_ended(r_.ctx.now, run.chunks.at(op).range.length);
  run.chunks.erase(op);
  holders_.erase(op);
  if (!MUTANT(resync_without_gate)) r_.write_path.let_go(op);
}

// Blocks that are remembered until they are flushed: no more than that, however long a flush takes.
uint64_t ResyncSource::most_unflushed() const { return r_.ctx.config.resync_flush_blocks * 8; }

// They share the memory that chunks are read into.
size_t ResyncSource::copying_to() const {
  const auto copies = [](const Run& run) { return run.phase == Phase::copying; };
  return std::max<size_t>(std::count_if(runs_.begin(), runs_.end(), copies), 1);
}

bool ResyncSource::has_room(Seat peer) const {
  const Run& run = runs_[peer.value];
  const size_t window = std::max<size_t>(run.window.size() / copying_to(), 1);
  if (run.flush.value != 0 && run.written_blocks >= most_unflushed()) return false;
  if (r_.feed.active(peer) && r_.feed.blocks_in_flight(peer) >= most_unflushed()) return false;
  return run.chunks.size() + (run.filling ? 1 : std::max<size_t>(window / 4, 1)) <= window;
}

bool ResyncSource::flush_due(const Run& run) const {
  const CoreConfig& config = r_.ctx.config;
  // A target that flushes slowly is given little at a time: an answer that takes longer than ack_timeout ends the link.
  const bool quick = run.flush_took && *run.flush_took <= config.ack_timeout / 16;
  if (!quick || run.written_blocks >= most_unflushed()) return run.written_blocks >= config.resync_flush_blocks;
  return run.written_blocks >= config.resync_flush_blocks && r_.ctx.now >= run.flushed + config.resync_flush_interval;
}

void ResyncSource::flush(Seat peer) {
  Run& run = runs_[peer.value];
  run.flushed = r_.ctx.now;
  run.flush = {kResyncOpBit | r_.ctx.fresh_id()};
  run.flushing = run.written.size();
  run.progress = r_.ctx.now;
  run.written_blocks = 0;
  r_.send(peer, FlushRequest{r_.membership.stamp(), run.flush});
}

// The flush was submitted after those blocks were written there: the proof that clears their bits (P4).
bool ResyncSource::flush_reply(Seat from, OpId op, IoStatus status) {
  if ((op.value & kResyncOpBit) == 0) return false;
  Run& run = runs_[from.value];
  if (run.flush != op || run.phase == Phase::none) return true;
  run.flush = {};
  run.flush_took = r_.ctx.now - run.flushed;
  run.progress = r_.ctx.now;
  if (status != IoStatus::ok) {
    r_.peer(from).disk_usable = false;
    abort(from);
    return true;
  }
  for (; run.flushing > 0; --run.flushing) {
    r_.dirty.clear(from, run.written.front());
    run.written.pop_front();
  }
  return true;
}

void ResyncSource::finish(Seat peer) {
  Run& run = runs_[peer.value];
  run.phase = Phase::preparing;
  run.progress = r_.ctx.now;
  run.join = {kResyncOpBit | r_.ctx.fresh_id()};
  r_.send(peer, JoinPrepare{r_.membership.stamp(), run.join});
}

void ResyncSource::join_ready(Seat from, const JoinReady& ready) {
  Run& run = runs_[from.value];
  if (run.phase != Phase::preparing || run.join != ready.op) return;
  if (ready.status != IoStatus::ok) return abort(from);
  r_.peer(from).inconsistent = false;
  r_.peer(from).doubtful = false;
  if (r_.feed.active(from)) {
    r_.ctx.note(Notice::resync_finished, from, run.copied);
    run = Run{};
    return r_.feed.follow(from);
  }
  run.phase = Phase::joining;  // Membership sees may_join() and proposes a tenure with the peer
}

void ResyncSource::set_changed() {
  ask_again_.fill(kLongAgo);
  for (Seat peer : r_.data_peers()) {
    Run& run = runs_[peer.value];
    if (run.phase == Phase::none || !r_.membership.member(peer)) continue;
    if (run.phase != Phase::joining) {
      abort(peer);
      r_.membership.levelled_by_another(peer);
      continue;
    }
    r_.ctx.note(Notice::resync_finished, peer, run.copied);
    run = Run{};
    if (!r_.membership.holds_tenure()) r_.peer(peer).replicating = false;
  }
}

void ResyncSource::abort(Seat peer) {
  Run& run = runs_[peer.value];
  if (run.phase == Phase::none) return;
  if (run.phase != Phase::waiting_for_map)
    r_.ctx.note(Notice::resync_aborted, peer);  // else it had not been said to have started
  std::vector<OpId> held;
  for (const auto& [op, chunk] : run.chunks) {
    held.push_back(op);
    pace_.chunk_ended(r_.ctx.now, 0);
  }
  run = Run{};
  if (MUTANT(interrupted_resync_forgotten)) run.phase = Phase::waiting_for_map;
  // What flowed there since the resync began may be written there and not flushed, or not written: all of it is in doubt again.
  const bool fed = r_.feed.active(peer);
  if (!fed) r_.write_path.mark_in_doubt(peer);
  r_.peer(peer).replicating = false;
  if (fed) r_.feed.stop(peer);
  r_.write_path.leg_lost(peer);
  // All of them are forgotten first: what waits behind one may end at once, and let another one of these hold its range.
  for (OpId op : held) holders_.erase(op);
  for (OpId op : held) {
    if (!MUTANT(resync_without_gate)) r_.write_path.let_go(op);
  }
  // Before a new resync begins: a leg that was lost with this one counts no more.
  r_.write_path.release_lost();
}

void ResyncSource::abort_all() {
  for (Seat peer : r_.data_peers()) abort(peer);
}

}  // namespace lockstep
