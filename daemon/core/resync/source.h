// Brings copies outside the set up to date: new writes flow to the target at once, then every dirty block is read here under the
// range gate, sent, flushed there, and only then cleared; when no bit is left the target may join.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <optional>

#include "base/ids.h"
#include "base/range.h"
#include "base/time.h"
#include "core/io.h"
#include "core/message.h"
#include "core/resync/order.h"
#include "core/resync/pace.h"
#include "core/resync/window.h"

namespace lockstep {

class ReplicaImpl;

class ResyncSource {
 public:
  ResyncSource(ReplicaImpl& replica, ResyncPace& pace) : r_(replica), pace_(pace) { ask_again_.fill(kLongAgo); }

  void pump();                // begin where one may begin, keep the window full
  void declined(Seat from);   // another source is at work there, or it is paused there
  void ask_again(Seat from);  // that is over
  void map_received(Seat from, const ResyncMap& map);
  bool write_reply(Seat from, OpId op, IoStatus status);  // true if the operation was ours
  bool flush_reply(Seat from, OpId op, IoStatus status);
  bool compare_reply(Seat from, const CompareReply& reply);
  void join_ready(Seat from, const JoinReady& ready);
  void range_held(OpId op);
  void abort(Seat peer);  // link lost, or this node is no longer a source
  void abort_all();
  bool may_join(Seat peer) const { return runs_[peer.value].phase == Phase::joining; }
  void set_changed();  // a join was decided
  // The target has recorded that it is one, and what it lacks.
  bool began(Seat peer) const { return runs_[peer.value].phase > Phase::waiting_for_map; }
  // The target answered something that is in front of what the resync waits for.
  void heard(Seat peer);
  // Not yet every block was copied.
  bool copying(Seat peer) const {
    return runs_[peer.value].phase == Phase::waiting_for_map || runs_[peer.value].phase == Phase::copying;
  }
  bool active(Seat peer) const { return runs_[peer.value].phase != Phase::none; }
  uint64_t total(Seat peer) const { return runs_[peer.value].total; }
  uint64_t copied(Seat peer) const { return runs_[peer.value].copied; }
  // A resync would begin, or go on, if no operator had paused it.
  bool held_back(Seat peer) const;
  // Since when an answer of the target has been outstanding; kNever while none is.
  Instant waiting_since(Seat peer) const;
  Instant next_deadline() const;  // when a target that declined is asked again
  Instant started(Seat peer) const { return runs_[peer.value].started; }

 private:
  enum class Phase : uint8_t { none, waiting_for_map, copying, preparing, joining };
  struct Chunk {
    Range range;
    PayloadId payload;
    bool sent = false;
    bool digests = false;  // compared first; what differs is copied by chunks of its own
    size_t place = 0;      // in the order
    Instant begun;
  };
  struct Run {
    Phase phase = Phase::none;
    Instant started;
    Instant progress;  // last sign of the target, or first thing sent after a pause
    ResyncOrder order;
    size_t place = 0;                  // in the order, of what was begun last
    bool everything = false;           // the disk there is new
    std::optional<uint64_t> compared;  // the extent that was last begun, if digests go first in it
    ResyncWindow window;
    bool filling = false;  // the window, until it is full
    uint64_t told = 0;     // up to this extent, or place in the order, the target was told what is about to be copied
    uint64_t total = 0;    // blocks dirty when copying began
    uint64_t copied = 0;
    std::map<OpId, Chunk> chunks;  // in flight; bounded by the window
    std::deque<Range> differing;   // compared and found to differ; bounded by what the window compares at once
    std::deque<Range> written;     // acknowledged by the target, or equal there, not yet covered by its flush
    uint64_t written_blocks = 0;
    size_t flushing = 0;  // how many of `written` the running flush covers
    OpId flush;           // zero: none
    Instant flushed;      // when one was last begun
    std::optional<Duration> flush_took;
    OpId join;
    int passes = 0;                // that ended with bad blocks left
    Instant next_pass = kLongAgo;  // not before: what is left could not be read just now
  };
  bool can_begin(Seat peer) const;
  bool paused(Seat peer) const;
  void begin(Seat peer);
  void copy(Seat peer);
  bool next_chunk(Seat peer);
  Range next_range(Seat peer);
  bool in_doubt_as_a_whole(Seat peer, uint64_t extent) const;
  bool compares_first(Seat peer, const Range& range);
  uint64_t owed(Seat peer) const;
  uint64_t look_ahead(Seat peer, const Chunk& chunk);
  void read_done(Seat peer, OpId op, IoStatus status, BlockMask zeroes);
  void rot_found(Seat peer, OpId op);
  void landed(Seat peer, OpId op, BlockMask differing);
  void over(Seat peer, OpId op);
  void refused(Seat peer);
  uint64_t most_unflushed() const;
  bool has_room(Seat peer) const;
  size_t copying_to() const;
  bool flush_due(const Run& run) const;
  void flush(Seat peer);
  void finish(Seat peer);

  ReplicaImpl& r_;
  ResyncPace& pace_;
  std::array<Run, kMaxDataNodes> runs_;
  std::array<Instant, kMaxDataNodes> ask_again_;
  std::map<OpId, Seat> holders_;  // chunk -> target
};

}  // namespace lockstep
