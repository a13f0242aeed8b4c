// The Primary's side of protocols A and B: peers that follow. A follower is a data node outside the set: no write waits until it has it (A), or
// only until it has received it (B), and what it may lack is always marked (docs/adr/0024).
//
// A resync brings it up to date, during which writes flow to it already; then it follows. Of each block of its bitmap one of two is true: it is
// owed, which a resync has to copy; or it is in flight: all that it may lack there was sent, and a flush of the follower that covers it
// clears the bit.
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>
#include <vector>

#include "base/ids.h"
#include "base/range.h"
#include "base/time.h"
#include "core/io.h"
#include "core/message.h"

namespace lockstep {

class ReplicaImpl;
struct Op;

// Ids of what is sent to followers have this bit; in those of writes the rest is the position.
constexpr uint64_t kFeedOpBit = uint64_t{1} << 59;

class Feed {
 public:
  explicit Feed(ReplicaImpl& replica) : r_(replica) {}

  // --- its life: a resync begins, is done, ends
  void begin(Seat peer);
  void follow(Seat peer);
  void stop(Seat peer);  // nothing is owed to it by name any more: its bits stay
  // No leg of a change waits for it as for a member.
  bool active(Seat peer) const { return lines_[peer.value].phase > Phase::ahead; }
  bool follows(Seat peer) const { return lines_[peer.value].phase == Phase::following; }
  // It was left behind (on-congestion pull-ahead), and has not applied yet what was sent before.
  bool ahead(Seat peer) const { return lines_[peer.value].phase == Phase::ahead; }
  bool resync_may_begin(Seat peer) const;

  // --- writes
  // The change starts; before its blocks are marked. True: it waits for the peer's word that it was received (B).
  bool write(const Op& op, Seat peer);
  void received(Seat peer, OpId op);
  bool write_reply(Seat from, OpId op, IoStatus status);  // true if the operation was ours
  bool flush_reply(Seat from, OpId op, IoStatus status);
  // A chunk of its resync was written there, or found to be equal.
  void copied(Seat peer, const Range& blocks);
  // No change may start: a follower is behind by as much as it may be (on-congestion block).
  bool holds_writes() const;
  void set_settled() { tell_settled_ = true; }  // the members' flush is done

  // --- of its bitmap
  bool in_flight(Seat peer, uint64_t block) const;
  uint64_t blocks_in_flight(Seat peer) const { return lines_[peer.value].unsettled.size(); }

  // --- a switch-over
  // It has everything, flushed.
  bool level(Seat peer) const;
  bool all_level() const;  // of those that follow
  void flush_soon();

  // --- for status: sent, and not applied there
  uint64_t bytes_behind(Seat peer) const { return lines_[peer.value].bytes; }
  Instant behind_since(Seat peer) const;  // kNever: it is not

  void pump();
  Instant next_deadline() const;
  Instant waiting_since(Seat peer) const;  // kNever while no answer is outstanding

 private:
  // ahead: nothing more is sent, and what was sent before is not all applied.
  enum class Phase : uint8_t { none, ahead, resyncing, following };
  struct Sent {
    uint64_t bytes = 0;
    OpId op;
    Instant at;
    Range range;
  };
  struct Line {
    Phase phase = Phase::none;
    bool too_far_behind = false;                       // what follows from that is yet to be done (pump)
    std::map<uint64_t, Sent> sent;                     // by position: not applied there yet; bounded by congested()
    uint64_t bytes = 0;                                // of those
    uint64_t last_sent = 0;                            // position
    std::unordered_map<uint64_t, uint64_t> unsettled;  // blocks in flight: the flush that will cover each
    bool unflushed = false;                            // something was written since the last flush was begun
    uint64_t generation = 1;                           // of the flush that comes next
    OpId flush;                                        // zero: none
    uint64_t flush_position = 0;                       // what it covers
    Instant flush_alone = kNever;  // since when all that it covers is applied: from then on only the flush itself is waited for
    uint64_t flushed = 0;          // up to this position all is on its stable storage
    uint64_t told = 0;             // of that
    Instant next_flush = kLongAgo;
    Instant progress;               // its last answer, or the first thing that was sent after all were there
    Instant not_before = kLongAgo;  // resyncs, after it was left behind
    Duration pause;                 // then; grows
    Instant followed;               // since when it follows
  };
  bool congested(const Line& line) const;
  void too_far_behind(Seat peer);
  void in_flight_now(Line& line, Seat peer, const Range& range, bool all);
  bool flush_due(const Line& line) const;
  void flush(Seat peer);
  void tell_settled(Seat peer);

  ReplicaImpl& r_;
  std::array<Line, kMaxDataNodes> lines_;
  bool tell_settled_ = false;
};

}  // namespace lockstep
