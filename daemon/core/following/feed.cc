#include "core/following/feed.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr size_t kMostWrites =
    4096;  // sent and not applied, however small they are: half of what a peer keeps for later (kMaxDeferred)
constexpr Duration kFirstPause = seconds(1);
constexpr Duration kLongestPause = seconds(60);

uint64_t first_of(const Range& range) { return range.offset / kBlockBytes; }
uint64_t end_of(const Range& range) { return (range.end() + kBlockBytes - 1) / kBlockBytes; }
}  // namespace

void Feed::begin(Seat peer) {
  Line& line = lines_[peer.value];
  const Duration pause = line.pause;
  line = Line{};
  line.pause = pause;
  line.phase = Phase::resyncing;
  line.progress = r_.ctx.now;
}

// The resync that brought it here is over, and it has recorded that its copy is whole. From here on it has, at each moment, what this node had
// at an earlier one; the two disks know each other.
void Feed::follow(Seat peer) {
  Line& line = lines_[peer.value];
  line.phase = Phase::following;
  line.progress = line.followed = r_.ctx.now;
  r_.ctx.record.peers[peer.value].disk = r_.peer(peer).hello->disk;
  r_.records.changed();
  r_.send(peer, Following{r_.membership.stamp(), true, r_.write_path.last_position()});
  tell_settled(peer);
}

void Feed::stop(Seat peer) {
  Line& line = lines_[peer.value];
  if (line.phase == Phase::none) return;
  const Duration pause = line.pause;
  line = Line{};
  line.pause = pause;
}

bool Feed::resync_may_begin(Seat peer) const {
  const Line& line = lines_[peer.value];
  return line.phase == Phase::none && r_.ctx.now >= line.not_before;
}

bool Feed::congested(const Line& line) const {
  const CoreConfig& config = r_.ctx.config;
  return line.bytes >= config.congestion_bytes || line.sent.size() >= kMostWrites ||
         line.unsettled.size() >= config.resync_flush_blocks * 8;
}

bool Feed::holds_writes() const {
  if (r_.ctx.config.on_congestion != OnCongestion::block) return false;
  for (Seat seat : r_.data_peers()) {
    if (active(seat) && !r_.source.copying(seat) && congested(lines_[seat.value])) return true;
  }
  return false;
}

bool Feed::in_flight(Seat peer, uint64_t block) const {
  const Line& line = lines_[peer.value];
  return !line.unsettled.empty() && line.unsettled.contains(block);
}

// A block that is owed stays so: the chunk that copies it comes later, and has this write. What was in flight or equal is in flight.
void Feed::in_flight_now(Line& line, Seat peer, const Range& range, bool all) {
  const BitVector& dirty = r_.dirty.of(peer);
  for (uint64_t block = first_of(range); block < std::min(end_of(range), dirty.size()); ++block) {
    const auto known = line.unsettled.find(block);
    if (known != line.unsettled.end()) {
      known->second = line.generation;
    } else if (all || !dirty.test(block)) {
      line.unsettled.emplace(block, line.generation);
    }
  }
  line.unflushed = true;
}

bool Feed::write(const Op& op, Seat peer) {
  Line& line = lines_[peer.value];
  if (!active(peer)) return false;
  if (congested(line)) {
    // As long as its copy is a mixture anyway, it need not have every write: a chunk will bring the block.
    if (r_.source.copying(peer)) {
      for (uint64_t block = first_of(op.range); block < end_of(op.range); ++block) {
        if (!MUTANT(owed_taken_for_in_flight)) line.unsettled.erase(block);
      }
      return false;
    }
    if (r_.ctx.config.on_congestion != OnCongestion::block) {
      too_far_behind(peer);
      return false;
    }
  }
  const bool by_receipt = r_.ctx.config.by_receipt.contains(peer);
  if (line.sent.empty()) line.progress = r_.ctx.now;
  r_.send(
      peer,
      FollowerWrite{r_.membership.stamp(), op.position, line.last_sent, r_.write_path.retired(), op.kind, op.range, by_receipt},
      op.kind == OpKind::write ? op.payload : PayloadId{});
  line.last_sent = op.position;
  const uint64_t bytes = op.kind == OpKind::write ? op.range.length : 0;  // what is zeroed or trimmed costs nobody memory
  line.sent[op.position] = {bytes, op.id, r_.ctx.now, op.range};
  line.bytes += bytes;
  if (r_.source.began(peer) || line.phase == Phase::following) in_flight_now(line, peer, op.range, false);
  return by_receipt;
}

// Nothing more is sent to it; it is told, and brought up to date again, when what was sent before is applied (pump).
void Feed::too_far_behind(Seat peer) {
  Line& line = lines_[peer.value];
  if (line.phase == Phase::following && r_.ctx.now >= line.followed + kLongestPause) line.pause = {};
  line.phase = Phase::ahead;
  line.too_far_behind = true;
  line.unsettled.clear();
  line.unflushed = false;
  line.flush = {};
  r_.peer(peer).replicating = false;
  r_.ctx.note(Notice::left_behind, peer, line.bytes);
}

void Feed::received(Seat peer, OpId op) {
  Line& line = lines_[peer.value];
  const auto found = line.sent.find(op.value & ~kFeedOpBit);
  if ((op.value & kFeedOpBit) == 0 || found == line.sent.end()) return;
  r_.write_path.write_reply(peer, found->second.op, IoStatus::ok);
}

bool Feed::write_reply(Seat from, OpId op, IoStatus status) {
  if ((op.value & kFeedOpBit) == 0) return false;
  Line& line = lines_[from.value];
  const auto found = line.sent.find(op.value & ~kFeedOpBit);
  if (found == line.sent.end()) return true;
  const OpId awaited = found->second.op;
  line.progress = r_.ctx.now;
  r_.source.heard(from);
  if (status == IoStatus::ok) r_.verifier.written(from, found->second.range);
  line.bytes -= found->second.bytes;
  line.sent.erase(found);
  const bool alone = line.sent.empty() || line.sent.begin()->first > line.flush_position;
  if (line.flush.value != 0 && line.flush_alone == kNever && alone) line.flush_alone = r_.ctx.now;
  if (status != IoStatus::ok) {
    r_.peer(from).disk_usable = false;
    r_.stop_copying(from);
  } else {
    r_.write_path.write_reply(from, awaited, IoStatus::ok);
  }
  return true;
}

void Feed::copied(Seat peer, const Range& blocks) { in_flight_now(lines_[peer.value], peer, blocks, true); }

bool Feed::flush_due(const Line& line) const {
  if (line.flush.value != 0 || (!line.unflushed && line.flushed >= line.last_sent)) return false;
  return r_.ctx.now >= line.next_flush || line.unsettled.size() >= r_.ctx.config.resync_flush_blocks;
}

// It answers when everything that was sent before is applied, and on its stable storage.
void Feed::flush(Seat peer) {
  Line& line = lines_[peer.value];
  line.flush_alone = line.sent.empty() ? r_.ctx.now : kNever;
  line.unflushed = false;
  ++line.generation;
  line.flush = {kFeedOpBit | r_.ctx.fresh_id()};
  line.flush_position = line.last_sent;
  r_.send(peer, FollowerFlush{r_.membership.stamp(), line.flush, line.last_sent});
}

// The proof that clears bits (P4): of blocks to which nothing was sent since that flush was begun.
bool Feed::flush_reply(Seat from, OpId op, IoStatus status) {
  if ((op.value & kFeedOpBit) == 0) return false;
  Line& line = lines_[from.value];
  if (line.flush != op) return true;
  line.flush = {};
  line.progress = r_.ctx.now;
  if (status != IoStatus::ok) {
    r_.peer(from).disk_usable = false;
    r_.stop_copying(from);
    return true;
  }
  std::erase_if(line.unsettled, [&](const auto& known) {
    if (known.second >= line.generation) return false;
    r_.dirty.clear(from, {known.first * kBlockBytes, kBlockBytes});
    return true;
  });
  line.flushed = line.flush_position;
  line.next_flush = r_.ctx.now + r_.ctx.config.settle_interval;
  tell_settled(from);
  return true;
}

// What is on its stable storage and on that of all members: of nothing else it may forget where it was written.
void Feed::tell_settled(Seat peer) {
  Line& line = lines_[peer.value];
  const bool all_flushed = !line.unflushed && line.flushed >= line.last_sent;
  const uint64_t everywhere = all_flushed ? r_.write_path.settled() : std::min(line.flushed, r_.write_path.settled());
  if (line.phase != Phase::following || everywhere <= line.told) return;
  line.told = everywhere;
  r_.send(peer, Settled{r_.membership.stamp(), everywhere});
}

bool Feed::level(Seat peer) const {
  const Line& line = lines_[peer.value];
  return line.phase == Phase::following && line.sent.empty() && line.flush.value == 0 && !line.unflushed &&
         line.flushed >= line.last_sent && r_.dirty.of(peer).count() == 0;
}

bool Feed::all_level() const {
  for (Seat seat : r_.data_peers()) {
    if (follows(seat) && !level(seat)) return false;
  }
  return true;
}

void Feed::flush_soon() {
  for (Line& line : lines_) line.next_flush = kLongAgo;
}

Instant Feed::behind_since(Seat peer) const {
  const Line& line = lines_[peer.value];
  return line.sent.empty() ? kNever : line.sent.begin()->second.at;
}

void Feed::pump() {
  const bool told = std::exchange(tell_settled_, false);
  for (Seat peer : r_.data_peers()) {
    Line& line = lines_[peer.value];
    if (line.phase == Phase::none) continue;
    if (!r_.membership.feeds(peer) && !r_.membership.adopting()) {
      r_.stop_copying(peer);
      continue;
    }
    if (std::exchange(line.too_far_behind, false)) {
      r_.write_path.leg_lost(peer);
      r_.source.abort(peer);
      if (r_.ctx.config.on_congestion == OnCongestion::disconnect) {
        r_.close_link(peer, Reason::congested, true);
        continue;
      }
      r_.send(peer, Following{r_.membership.stamp(), false, 0});
      line.pause = std::min(std::max(line.pause * 2, kFirstPause), kLongestPause);
    }
    if (line.phase == Phase::ahead && line.sent.empty()) {
      stop(peer);
      line.not_before = r_.ctx.now + line.pause;
      continue;
    }
    // Marked by somebody else than its writes: that has to be copied.
    if (line.phase == Phase::following && r_.dirty.of(peer).count() > line.unsettled.size()) {
      r_.stop_copying(peer);
      continue;
    }
    if (active(peer) && flush_due(line)) flush(peer);
    if (told) tell_settled(peer);
  }
}

Instant Feed::next_deadline() const {
  Instant due = kNever;
  for (const Line& line : lines_) {
    const bool flushes = line.phase > Phase::ahead && line.flush.value == 0;
    const bool something = line.unflushed || line.flushed < line.last_sent;
    if (flushes && something) due = std::min(due, line.next_flush);
    if (line.phase == Phase::none && line.not_before > r_.ctx.now) due = std::min(due, line.not_before);
  }
  return due;
}

Instant Feed::waiting_since(Seat peer) const {
  const Line& line = lines_[peer.value];
  if (line.phase == Phase::none) return kNever;
  const Instant flush = line.flush.value != 0 ? line.flush_alone : kNever;
  return std::min(flush, line.sent.empty() ? kNever : line.progress);
}

}  // namespace lockstep
