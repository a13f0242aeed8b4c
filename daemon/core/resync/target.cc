#include "core/resync/target.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/resync/block_runs.h"

namespace lockstep {

namespace {
constexpr Duration kAskAgain = seconds(10);
constexpr Duration kSilence = seconds(2);  // of a source that has given up: it does not say so
}  // namespace

// A failed disk records nothing any more: what waited goes on, and is refused for want of a disk.
bool ResyncTarget::recording() const { return (recording_ || begun_) && !r_.records.failed(); }

void ResyncTarget::begin(Seat from, const ResyncBegin& begin) {
  if (begin.stamp != r_.membership.stamp() || r_.membership.member(r_.self()) || r_.membership.holds_tenure()) return;
  if (!r_.disk_usable) return r_.send(from, DiskCondition{false, r_.ctx.record.inconsistent, r_.ctx.record.doubtful});
  // With a link down between two of the set, without a Primary, both may want to copy: the author of the tenure does, or who began.
  const bool another = source_ != kNoSeat && source_ != from && stamp_ == begin.stamp;
  const bool busy = another && r_.peer(source_).link_up && r_.peer(source_).disk_usable && r_.ctx.now < heard_ + kSilence;
  if (busy && r_.membership.adopted()->origin.node != from) return r_.send(from, ResyncDeclined{begin.stamp});
  // Its operator's word may not have reached the source before it began.
  if (r_.admin.paused(from) || unsaved()) {
    if (!busy) abort(source_);  // an earlier one that its source gave up without a word (seed 397936144023)
    return r_.send(from, ResyncDeclined{begin.stamp});
  }
  if (following_) abort(source_);
  r_.secondary.forget_what_waits(from);  // of an earlier run, which its source has forgotten
  behind_ = kNoSeat;
  source_ = from;
  stamp_ = begin.stamp;
  heard_ = r_.ctx.now;
  begun_ = begin;
  ++run_;
  levelled_by_ = kNoSeat;
  pump();
}

// A copy that is whole and was not saved. One that a resync has completed, and that waits to be taken in, is not in question.
bool ResyncTarget::held() const { return !active() && unsaved(); }

bool ResyncTarget::unsaved() const {
  const auto& record = r_.ctx.record;
  const bool outdated = record.adopted && !record.adopted->members.contains(r_.self()) && !record.inconsistent && r_.disk_usable;
  return r_.ctx.config.hold_resync && outdated && !allowed_;
}

void ResyncTarget::allow(uint64_t episode) { allowed_ = allowed_ || (waiting_ && episode == episode_); }

// The Primary will copy to this one as soon as it is let; without one, any member may. Whoever saves the copy may fail, and is asked again.
void ResyncTarget::note_what_waits() {
  const auto& adopted = r_.membership.adopted();
  if (held() && !waiting_) {
    ++episode_;
    note_again_at_ = r_.ctx.now;
  }
  waiting_ = held();
  wanted_ = {};
  for (Seat peer : r_.data_peers()) {
    const bool source = r_.peer(peer).met && r_.membership.member(peer) && (!adopted->primary || adopted->primary->node == peer);
    if (waiting_ && source) wanted_.insert(peer);
  }
  if (wanted_.empty() || r_.ctx.now < note_again_at_) return;
  note_again_at_ = r_.ctx.now + kAskAgain;
  r_.ctx.note(Notice::resync_wanted, *wanted_.begin(), episode_);
}

Instant ResyncTarget::next_deadline() const { return wanted_.empty() ? kNever : note_again_at_; }

// Chunks of an aborted run may still be on their way to this disk: they land first, or they would land on newer writes.
void ResyncTarget::pump() {
  if (r_.ctx.config.hold_resync) note_what_waits();
  if (!begun_ || (r_.peer(source_).writes_in_flight > 0 && !MUTANT(older_writes_not_awaited))) return;
  const bool full = begun_->full;
  begun_.reset();
  record_begin(source_, full);
}

void ResyncTarget::record_begin(Seat from, bool full) {
  if (full) forget_what_is_known();
  // What is in the intent map stems from older writers; it is levelled by this resync and by nothing else.
  r_.intents.pin_all();
  r_.secondary.reset_settled();
  r_.ctx.record.inconsistent = true;
  allowed_ = false;
  recording_ = true;
  r_.records.changed([this, from, link = r_.peer(from).link] {
    recording_ = false;
    if (r_.peer(from).link_up && r_.peer(from).link == link) send_map(from);
  });
}

// Nothing that this disk has is trusted (no common ground, invalidate-remote): whoever goes on in place of that source copies in full, too.
void ResyncTarget::forget_what_is_known() {
  for (Seat seat : r_.data_peers()) {
    r_.dirty.mark_all(seat);
    r_.ctx.record.peers[seat.value].disk = {};
  }
}

void ResyncTarget::set_changed(const Tenure& old, const Tenure& next) {
  const Seat self = r_.self();
  const bool leaves = old.members.contains(self) && !next.members.contains(self) && !r_.ctx.record.inconsistent;
  if (leaves) writer_ = old.primary;
  unheard_ = false;
  if (next.primary != old.primary) behind_ = kNoSeat;
  if (following_ && next.primary != old.primary) abort(source_);
  if (next.primary != writer_ || next.members.contains(self)) writer_.reset();
}

void ResyncTarget::send_map(Seat to) {
  ResyncMap map{r_.membership.stamp(), {}, false};
  const auto& primary = r_.membership.adopted()->primary;
  const bool known_there = (writer_ && primary == writer_ && primary->node == to) || MUTANT(intents_never_told);
  for_each_run(r_.dirty.of(to), known_there ? BitVector() : r_.intents.bits(), r_.dirty.covered(), [&](const BlockRun& run) {
    if (map.runs.full()) {
      r_.send(to, map);
      map.runs.clear();
    }
    map.runs.push_back(run);
  });
  map.last = true;
  r_.send(to, map);
}

void ResyncTarget::join_prepare(Seat from, const JoinPrepare& prepare) {
  if (source_ != from || prepare.stamp != r_.membership.stamp()) return;
  // It crossed the word that this disk failed (seed 4048): a disk that is given up is not flushed into the set.
  if (!r_.disk_usable) return r_.send(from, JoinReady{prepare.stamp, prepare.op, IoStatus::io_error});
  levelled_by_ = from;
  if (MUTANT(levelled_unflushed)) return flushed_for_join(from, r_.peer(from).link, prepare.op, run_, IoStatus::ok);
  r_.disk.submit(OpKind::flush, {}, false, {}, [this, from, prepare, link = r_.peer(from).link, run = run_](IoStatus status) {
    flushed_for_join(from, link, prepare.op, run, status);
  });
}

void ResyncTarget::flushed_for_join(Seat from, LinkId link, OpId op, uint64_t run, IoStatus status) {
  if (run != run_) return;
  if (!r_.disk_usable) return r_.send(from, JoinReady{r_.membership.stamp(), op, IoStatus::io_error});
  if (status != IoStatus::ok) {
    r_.send(from, JoinReady{r_.membership.stamp(), op, status});
    return r_.disk_failed(Reason::disk_failed);
  }
  if (source_ != from || !r_.peer(from).link_up || r_.peer(from).link != link) return;
  r_.ctx.record.inconsistent = false;
  r_.ctx.record.doubtful = false;  // levelled in every extent that its intent map had
  r_.records.changed([this, from, link, op] {
    r_.tell_condition();  // to a third node too: it would not keep in the set what it takes for Inconsistent
    if (source_ == from && r_.peer(from).link_up && r_.peer(from).link == link)
      r_.send(from, JoinReady{r_.membership.stamp(), op, IoStatus::ok});
  });
}

// What this copy may have and the Primary lacks was sent by that one, which has it marked until it is settled: as long as it is the same.
void ResyncTarget::following(Seat from, const Following& word) {
  if (source_ != from || word.stamp != r_.membership.stamp()) return;
  if (!word.on) {
    abort(from);
    behind_ = from;
    return;
  }
  if (r_.ctx.record.inconsistent) return;
  following_ = true;
  r_.dirty.clear_all(from);
  r_.intents.levelled_at(word.position);
  r_.ctx.record.peers[from.value].disk = r_.peer(from).hello->disk;
  r_.records.changed();
}

void ResyncTarget::source_lost_disk(Seat from) {
  if (!following_ && levelled_by_ != from) abort(from);
}

void ResyncTarget::abort(Seat from) {
  if (source_ != from) return;
  if (std::exchange(following_, false) && r_.membership.adopted()) writer_ = r_.membership.adopted()->primary;
  levelled_by_ = kNoSeat;
  source_ = kNoSeat;
  begun_.reset();
}

}  // namespace lockstep
