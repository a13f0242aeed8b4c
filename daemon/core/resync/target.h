// The receiving side of a resync: marks itself Inconsistent before the first byte, says which of its blocks may differ, and
// records itself Consistent, flushed, before it may join.
#pragma once

#include <optional>

#include "base/ids.h"
#include "core/message.h"
#include "core/tenure.h"

namespace lockstep {

class ReplicaImpl;

class ResyncTarget {
 public:
  explicit ResyncTarget(ReplicaImpl& replica) : r_(replica) {}

  void begin(Seat from, const ResyncBegin& begin);
  // Its source is a Primary under protocol A or B, and this copy follows it: whole, and as the Primary was a moment ago.
  void following(Seat from, const Following& word);
  bool follows(Seat primary) const { return following_ && source_ == primary; }
  bool behind(Seat primary) const { return behind_ == primary; }  // it was left behind
  void join_prepare(Seat from, const JoinPrepare& prepare);
  bool recording() const;
  void pump();
  // Before it becomes a mixture, a copy may have to be saved (CoreConfig::hold_resync): a resync waits for that, and its source is told.
  bool held() const;
  // What Notice::resync_wanted asked for is done; or an operator wants no more of it.
  void allow(uint64_t episode);
  void allow() { allow(episode_); }
  Instant next_deadline() const;
  bool active() const { return source_ != kNoSeat; }
  void heard_from_source(Instant now) { heard_ = now; }
  Seat source() const { return source_; }
  void abort(Seat from);
  // Not where it has sent everything and this copy is about to be flushed for the join: that is worth having.
  void source_lost_disk(Seat from);
  void joined() { abort(source_); }
  // After a crash in the middle of writes; until it is heard what has become of the set since, every extent that was hot is in doubt.
  void came_back() { unheard_ = true; }
  bool unheard() const { return unheard_; }
  // A tenure of the same history is adopted.
  void set_changed(const Tenure& old, const Tenure& next);

 private:
  bool unsaved() const;
  void note_what_waits();
  void record_begin(Seat from, bool full);
  void forget_what_is_known();
  void send_map(Seat to);
  void flushed_for_join(Seat from, LinkId link, OpId op, uint64_t run, IoStatus status);
  ReplicaImpl& r_;
  Seat source_ = kNoSeat;
  Seat levelled_by_ = kNoSeat;  // asked this copy to flush for the join
  Instant heard_ = kLongAgo;    // the source
  // Who was Primary when this copy left the set, while it still is: what the copy may have and others lack was written by it, and it has
  // marked what was in flight (WritePath::mark_in_doubt). Others have to be told of every extent that was hot here.
  std::optional<Holder> writer_;
  bool unheard_ = false;
  bool allowed_ = false;  // until the next one begins, whoever its source is
  SeatSet wanted_;        // what was noted as waiting
  bool waiting_ = false;
  uint64_t episode_ = 0;   // of waiting: what was done for an earlier one does not count
  Instant note_again_at_;  // what still waits
  Stamp stamp_;            // of the tenure in which that resync began
  bool recording_ = false;
  bool following_ = false;
  Seat behind_ = kNoSeat;
  uint64_t run_ = 0;                  // counts resyncs: what an earlier one began must not conclude a later one
  std::optional<ResyncBegin> begun_;  // waits until what came before it over the same link has landed
};

}  // namespace lockstep
