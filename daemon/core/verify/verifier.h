// Compares this copy with others of the current set, block by block, by digests, while clients write.
//
// A chunk holds its range against changes from the read here to the peer's answer: what is in flight elsewhere is no difference, and a
// difference is one. What was found is kept apart from the dirty bitmaps: which of two copies is right cannot be known (digests at rest tell
// before that, by a block that cannot be read), and a resync must not copy rot over good data (ADR 14). It is remembered until the block is
// written on both, or this node starts anew.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <vector>

#include "base/ids.h"
#include "base/range.h"
#include "base/time.h"
#include "core/dirty/bit_vector.h"
#include "core/effect.h"
#include "core/resync/pace.h"

namespace lockstep {

class ReplicaImpl;

class Verifier {
 public:
  Verifier(ReplicaImpl& replica, ResyncPace& pace) : r_(replica), pace_(pace) {}

  // With one peer, or with all that can be compared (kNoSeat). `range`: bytes, widened to whole blocks; empty: the volume.
  Reason start(Seat peer, const Range& range);
  void stop(Seat peer);
  // Writes what was found to differ anew: from this node's copy, for every peer, or from that peer's. By the Primary.
  Reason repair(Seat from);
  void ends_at(uint64_t bytes);  // the volume ends there now
  void pump();
  void range_held(OpId op);
  bool compare_reply(Seat from, const CompareReply& reply);
  // Written on every copy of the set, or copied to this peer.
  void written(const Range& range);
  void written(Seat peer, const Range& range);
  void forget(Seat peer);  // another disk is there
  Instant next_deadline() const;
  // Since when an answer has been outstanding; kNever while none is.
  Instant waiting_since(Seat peer) const;

  bool active(Seat peer) const { return runs_[peer.value].on; }
  uint64_t total(Seat peer) const { return runs_[peer.value].end - runs_[peer.value].first; }
  uint64_t done(Seat peer) const { return runs_[peer.value].done; }
  Instant started(Seat peer) const { return runs_[peer.value].started; }
  bool repairing(Seat peer) const { return repairs_[peer.value].on; }
  bool completed(Seat peer) const { return completed_.contains(peer); }
  uint64_t differing(Seat peer) const { return found_[peer.value].count(); }
  VolumeCounts differing(Seat peer, const VolumeShapes& volumes) const { return count_by_volume(found_[peer.value], volumes); }
  // Extents that hold what differs, merged; no more than `most`.
  std::vector<Range> extents(Seat peer, size_t most) const;

 private:
  struct Chunk {
    Range range;
    PayloadId payload;
    bool sent = false;
  };
  struct Run {
    bool on = false;
    uint64_t first = 0;  // blocks
    uint64_t end = 0;
    uint64_t cursor = 0;
    uint64_t done = 0;
    Instant started;
    Instant progress;
    std::map<OpId, Chunk> chunks;  // in flight; bounded by the window
    std::deque<Range> singly;      // blocks of chunks that could not be read as a whole
    bool left() const { return cursor < end || !singly.empty(); }
  };
  struct Repair {
    bool on = false;
    Seat from;
    uint64_t cursor = 0;
    uint64_t begun = 0;  // blocks
  };
  void begin_when_due();
  bool can_compare() const;
  bool comparable(Seat peer) const;
  Reason why_not_comparable(Seat peer) const;
  void next_chunk(Seat peer);
  void go_on_repairing(Seat peer);
  void read_done(Seat peer, OpId op, IoStatus status);
  void compared(Seat peer, OpId op);
  void unreadable(Seat peer, OpId op, Seat healthy);
  void repaired(Seat peer);
  void record(Seat peer, const Range& range, BlockMask differing);
  void abort(Seat peer);
  void end(Seat peer, Notice notice, uint64_t a);

  ReplicaImpl& r_;
  ResyncPace& pace_;
  std::array<Run, kMaxDataNodes> runs_;
  std::array<Repair, kMaxDataNodes> repairs_;
  std::array<BitVector, kMaxDataNodes> found_;  // blocks; empty until something is found
  SeatSet completed_;                           // whose last comparison came to its end
  std::map<OpId, Seat> holders_;
  Instant due_ = kNever;  // of the next comparison that nobody asks for
};

}  // namespace lockstep
