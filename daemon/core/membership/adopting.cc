// Adopting a decided tenure: finish what was begun under the older one, take over its consequences for the bitmaps, make that
// durable, then act by it.
#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

// What the author of a tenure sent under the one before is in front of its own word on its link, and would be refused if another's word
// were taken first: a write that the author waits for, and nobody answers. So that word is waited for as long as the author is there.
bool Membership::author_will_tell(Seat from, const Tenure& tenure) const {
  const Seat author = tenure.origin.node;
  if (author == from || author == r_.self() || !adopted() || !r_.data_peers().contains(author)) return false;
  const Peer& peer = r_.peer(author);
  return peer.met && peer.run.start == tenure.origin.start;
}

void Membership::decided_elsewhere(Seat from, const Tenure& tenure) {
  if (!author_will_tell(from, tenure) || MUTANT(hearsay_adopted)) return adopt(tenure);
  if (tenure.number <= (adopting_ ? adopting_->number : adopted()->number)) return;
  if (!hearsay_ || tenure.number > hearsay_->number) hearsay_ = tenure;
}

void Membership::adopt_hearsay() {
  if (hearsay_ && (!adopted() || hearsay_->number <= adopted()->number)) hearsay_.reset();
  if (!hearsay_ || author_will_tell(kNoSeat, *hearsay_)) return;
  const Tenure tenure = *hearsay_;
  hearsay_.reset();
  adopt(tenure);
}

void Membership::adopt(const Tenure& tenure) {
  const bool follows = !adopted() || (adopted()->history == tenure.history && tenure.number > adopted()->number);
  if (!follows && !begins_my_history(tenure)) return;
  if (adopting_) {
    if (tenure.number > adopting_->number && (!adopt_next_ || tenure.number > adopt_next_->number)) adopt_next_ = tenure;
    return;
  }
  adopting_ = tenure;
  adopting_recorded_ = false;
  if (holds_tenure() && tenure.primary != r_.ctx.self_holder() && tenure.primary) depose(tenure.primary->node);
}

void Membership::finish_adopting() {
  if (!adopting_) return;
  // Diskless by now: nothing will become durable here any more; the voters remember the tenure.
  if (adopting_recorded_ && r_.records.failed()) return adopted_now();
  if (adopting_recorded_) return;
  const bool same_primary = adopted() && adopted()->primary == adopting_->primary && adopting_->primary == r_.ctx.self_holder();
  // Whoever writes on stays the same: its own writes go on. Everybody else first drains what came under the older tenure.
  const bool drained = (r_.disk.changes_in_flight() == 0 && r_.secondary.waiting() == 0) || MUTANT(older_writes_not_awaited);
  if (!same_primary && !drained) return;
  if (!size_marked(*adopting_)) return;
  const std::optional<Tenure> old = adopted();
  apply_set_change(old, *adopting_);
  r_.dirty.pump();
  if (old && old->history == adopting_->history && span_of(*old) != span_of(*adopting_))
    r_.ctx.note(Notice::resized, kNoSeat, span_of(*adopting_));
  end_doubt(*adopting_);
  r_.ctx.record.adopted = *adopting_;
  r_.ctx.record.given_up = {};
  adopting_recorded_ = true;
  if (old && old->history != adopting_->history) part_from_peers();
  tell_peers();  // before the first frame that is stamped with it
  if (r_.records.failed()) return adopted_now();
  r_.records.changed([this] { adopted_now(); });
}

// A volume has grown: what lies beyond its old end belonged to nobody and may differ anywhere. That it is copied to everybody whom this tenure
// does not count as current is recorded before the tenure is. False: not yet. One that has become smaller leaves no bit behind its end; of what
// a tenure of another history has, nothing is known.
bool Membership::size_marked(const Tenure& next) {
  const bool known = adopted() && adopted()->history == next.history;
  const uint64_t before = known ? span_of(*adopted()) : 0;
  if (next.volumes.empty()) return true;  // it says nothing of a size
  const uint64_t now = std::min(span_of(next), r_.ctx.record.size_bytes);
  const bool grows = known && now > before;
  r_.dirty.cover(blocks_of(now), known && MUTANT(growth_not_marked) ? r_.data_peers() : grows ? next.members : SeatSet{});
  if (known && now < before) r_.verifier.ends_at(now);
  if (!grows || r_.records.failed()) return true;
  const Range added{before, now - before};
  bool durable = true;
  for (Seat seat : r_.data_peers() - next.members) durable = durable && r_.dirty.durable(seat, added);
  if (!durable) r_.dirty.pump();
  return durable || MUTANT(growth_adopted_unmarked);
}

// Whoever is promoted says by that what the content is. And a clean hand-over waits for a flush of every member.
void Membership::end_doubt(const Tenure& next) {
  NodeRecord& record = r_.ctx.record;
  const bool flushed = next.clean && next.members.contains(r_.self()) && !record.inconsistent;
  const bool chosen = next.primary == r_.ctx.self_holder();
  doubt_ended_ = record.doubtful && (flushed || chosen);
  if (doubt_ended_) record.doubtful = false;
  if (chosen && std::exchange(record.outdated, false)) r_.ctx.note(Notice::outdated_no_more);
}

bool Membership::doubt_forbids() const {
  if (!r_.ctx.record.doubtful || MUTANT(doubtful_promoted)) return false;
  for (Seat seat : adopted()->members - SeatSet{r_.self()}) {
    const Peer& peer = r_.peer(seat);
    if (peer.met && (peer.doubtful || peer.inconsistent)) continue;
    // A copy that is away may be better, and so may one whose disk has failed (seed 104708: it was its metadata, and it came back): an operator
    // may know that it will not. One that is here and is better is not passed by.
    if ((peer.met && peer.disk_usable) || !r_.admin.forced()) return true;
  }
  return false;
}

// A node that was never used takes its first tenure. Only the creation of this very life makes its bytes count.
void Membership::first_adoption(const Tenure& next) {
  bool named = false;
  for (const Voter& voter : next.voters)
    named = named || (voter.seat == r_.self() && voter.acceptor == r_.ctx.record.acceptor.acceptor);
  const bool founding_member = next.number == 1 && named && next.members.contains(r_.self());
  r_.ctx.record.inconsistent = !founding_member;
  for (Seat seat : r_.data_peers()) {
    if (founding_member && next.members.contains(seat)) {
      r_.dirty.clear_all(seat);
    } else if (r_.ctx.record.peers[seat.value].disk.is_nil()) {
      r_.dirty.mark_all(seat);
    }  // else its history was given up (Admin): what it had against that disk still says where the two differ
  }
}

void Membership::note_new_voters(const Tenure& old, const Tenure& next) {
  const auto seat_in = [](const Tenure& tenure, Seat seat) {
    return std::find_if(tenure.voters.begin(), tenure.voters.end(), [seat](const Voter& v) { return v.seat == seat; });
  };
  for (const Voter& voter : next.voters) {
    const auto before = seat_in(old, voter.seat);
    if (before == old.voters.end()) {
      r_.ctx.note(Notice::voter_seated, voter.seat);
    } else if (before->acceptor != voter.acceptor) {
      r_.ctx.note(Notice::voter_replaced, voter.seat);
    }
  }
  for (const Voter& voter : old.voters) {
    if (seat_in(next, voter.seat) == next.voters.end()) r_.ctx.note(Notice::voter_unseated, voter.seat);
  }
}

// Whether the disk that sits there now is the one that a tenure takes in. Whoever proposed that knows; a third node has only the peer's word, which
// may come later (learn_disks). Until then its bits stay, and it does not remember the disk: a blank one may have taken the seat over.
bool Membership::is_what_was_taken_in(Seat seat, const Tenure& next) const {
  if (next.origin.node == r_.self()) return !joins_as_another_disk(seat, next);
  return seat == next.origin.node || (r_.peer(seat).met && r_.peer(seat).whole);
}

// Two members of one tenure that both have adopted it are the same but for what is in flight, which the intent maps cover. They may not have been
// connected as one of them was taken in.
void Membership::learn_disks() {
  if (!adopted() || adopting_ || !member(r_.self()) || r_.ctx.record.inconsistent || r_.ctx.record.doubtful) return;
  for (Seat seat : r_.data_peers()) {
    const Peer& peer = r_.peer(seat);
    if (!member(seat)) unlearned_.erase(seat);
    if (r_.admin.nodes().leaving(seat)) continue;  // it is being forgotten
    if (!member(seat) || !peer.met || !peer.whole || peer.doubtful || !peer.disk_usable || peer.adopted != stamp()) continue;
    if (unlearned_.contains(seat) && !holds_tenure()) r_.dirty.clear_all(seat);
    unlearned_.erase(seat);
    Uuid& remembered = r_.ctx.record.peers[seat.value].disk;
    if (remembered == peer.hello->disk) continue;
    remembered = peer.hello->disk;
    r_.records.changed();
  }
}

// A join that this node proposed, and that was decided only after the copy that it was about had been replaced by another disk.
bool Membership::joins_as_another_disk(Seat seat, const Tenure& next) const {
  const Peer& peer = r_.peer(seat);
  if (next.origin.node != r_.self() || !peer.met || !peer.hello || r_.source.may_join(seat)) return false;
  return peer.hello->disk != r_.ctx.record.peers[seat.value].disk;
}

// A copy that had all of its writes from a Primary knows by block what that one, or another member, may lack (ADR 15).
void Membership::mark_dropped(Seat seat, const Tenure& old) {
  const bool followed = old.primary && old.primary->node != r_.self() && old.members.contains(r_.self());
  const RecentWrites& recent = r_.secondary.unsettled();
  if (!followed || !recent.complete() || r_.intents.any_pinned()) return r_.write_path.mark_in_doubt(seat);
  if (MUTANT(lost_peer_not_marked)) return;
  recent.for_each([this, seat](const Range& range) { r_.dirty.mark(seat, range); });
}

void Membership::apply_set_change(const std::optional<Tenure>& old, const Tenure& next) {
  const Seat self = r_.self();
  unlearned_of_clean_ = {};
  if (old) note_new_voters(*old, next);
  if (old && old->history != next.history) {
    apply_new_history(*old);
  } else if (!old) {
    first_adoption(next);
  } else {
    for (Seat seat : (old->members - next.members) - SeatSet{self}) {
      mark_dropped(seat, *old);
      // Given up although it answers (invalidate): from here on writes are recorded against it, until a resync begins.
      r_.peer(seat).replicating = false;
      r_.write_path.leg_lost(seat);
      r_.ctx.note(Notice::peer_dropped, seat, r_.dirty.of(seat).count());
    }
    const SeatSet added = next.members - old->members;
    const bool self_added = added.contains(self);
    // A copy that a further resync has begun to overwrite is not what the join was about: it stays in doubt until it is dropped.
    if (next.members.contains(self) && !r_.ctx.record.inconsistent) {
      if (self_added) r_.ctx.note(Notice::joined);
      for (Seat seat : (self_added ? next.members : added) - SeatSet{self}) {
        // It has nothing, and is dropped next and copied in full; or what it has will be heard.
        if (is_what_was_taken_in(seat, next)) {
          r_.dirty.clear_all(seat);
        } else {
          unlearned_.insert(seat);
        }
        r_.ctx.note(Notice::peer_joined, seat);
      }
    }
    // One that follows the same Primary goes on: that one tells when what it was sent is settled.
    const bool goes_on = next.primary && old->primary == next.primary && r_.target.follows(next.primary->node);
    if (!next.members.contains(self) && !goes_on) r_.intents.pin_all();
    r_.target.set_changed(*old, next);
    const bool kept = old->members.contains(self) && next.members.contains(self) && !r_.ctx.record.inconsistent;
    const bool other_primary = old->primary != next.primary;
    // A new Primary that kept this copy in the set followed a clean hand-over: all that was written before is settled.
    // A copy that joins waits for the word of the Primary that levelled it: if that one died, the others may differ in what it had in flight.
    if (self_added && !r_.ctx.record.inconsistent && (next.clean || MUTANT(joined_copy_unpinned))) r_.intents.unpin_all();
    if (self_added && !r_.ctx.record.inconsistent && next.clean) r_.intents.settle_all();
    if ((kept && other_primary && next.primary && next.primary->node != self) || (kept && next.clean)) r_.intents.settle_all();
    if (other_primary) r_.secondary.reset_settled();
    // Clean says that all members hold the same bytes, flushed: what their maps still have against each other is history.
    if (kept && (old->clean || next.clean)) {
      for (Seat seat : (old->members & next.members) - SeatSet{self}) {
        if (unlearned_.contains(seat)) {
          unlearned_of_clean_.insert(seat);
        } else {
          r_.dirty.clear_all(seat);
        }
      }
      r_.intents.settle_all();
    }
  }
  // The disk that was levelled with this one: seen at the founding, or at a join.
  if (next.members.contains(self) && !r_.ctx.record.inconsistent) {
    const SeatSet before = old && old->members.contains(self) ? old->members : SeatSet{};
    for (Seat seat : next.members - before - SeatSet{self}) {
      const Peer& peer = r_.peer(seat);
      if (old && !is_what_was_taken_in(seat, next)) continue;
      if (peer.met && peer.hello && !r_.admin.nodes().leaving(seat)) r_.ctx.record.peers[seat.value].disk = peer.hello->disk;
    }
  }
}

void Membership::adopted_now() {
  const Tenure& tenure = *adopted();
  if (lease_anew_ == tenure.number) {
    lease_.forget();
    next_lease_request_ = kLongAgo;
  }
  adopting_.reset();
  if (undecided_ && undecided_->number <= tenure.number) undecided_.reset();
  if (rumoured_ && rumoured_->voter_set <= tenure.voter_set) rumoured_.reset();
  r_.ctx.note(Notice::tenure_adopted, kNoSeat, tenure.number);
  if (tenure.primary && boots_[tenure.primary->node.value].is_nil()) known_boot(tenure.primary->node, tenure.primary->boot);
  for (Seat seat : r_.data_peers()) {
    if (!tenure.primary || tenure.primary->node != seat) r_.peer(seat).caretaker = false;
    if (!r_.peer(seat).hello_sent) continue;
    r_.send(seat, TenureAdopted{stamp()});
    // A member that does not count its own bytes as current says so, or others would.
    if ((tenure.members.contains(r_.self()) && r_.ctx.record.inconsistent) || doubt_ended_)
      r_.send(seat, DiskCondition{r_.disk_usable, r_.ctx.record.inconsistent, r_.ctx.record.doubtful});
  }
  doubt_ended_ = false;
  take_role();
  r_.write_path.set_changed();
  r_.source.set_changed();
  if (r_.target.active() && tenure.members.contains(r_.self())) r_.target.joined();
  for (Seat seat : r_.data_peers()) {
    if (!tenure.members.contains(seat)) r_.admin.drop_done(seat);
  }
  if (adopt_next_) {
    const Tenure next = *adopt_next_;
    adopt_next_.reset();
    adopt(next);
  }
}

void Membership::tell_peers() {
  for (Seat seat : r_.data_peers()) {
    if (!r_.peer(seat).hello_sent || MUTANT(tenure_not_told)) continue;
    r_.send(seat, TenureDecided{*adopted()});
  }
}

void Membership::take_role() {
  const Tenure& tenure = *adopted();
  // Only what this very run proposed makes it Primary: a fresh disk must not step into the place of the one that it replaced.
  const bool mine = tenure.primary == r_.ctx.self_holder() && tenure.origin.node == r_.self() &&
                    tenure.origin.start == r_.ctx.record.start() && !r_.ctx.record.inconsistent;
  if (mine && role_ == Standing::secondary) {
    role_ = Standing::becoming_primary;
    confirm_needed_ = false;
    rebase_needed_ = false;
    lease_.forget();
    next_lease_request_ = kLongAgo;
    for (Seat seat : tenure.members - SeatSet{r_.self()}) {
      const bool good = r_.good_copy(seat);
      r_.peer(seat).replicating = good;
      // It was met while this tenure was being recorded: what is set against it is from before the clean one (seed 913131).
      if (!good || !unlearned_of_clean_.contains(seat) || !r_.peer(seat).whole) continue;
      r_.dirty.clear_all(seat);
      unlearned_.erase(seat);
    }
  } else if (!mine && role_ != Standing::secondary) {  // handed over
    role_ = Standing::secondary;
    const bool unseen = end_caretaking();
    was_serving_ = false;
    frozen_ = Reason::none;
    r_.write_path.abandon();
    release_lease();
    for (Seat seat : r_.data_peers()) {
      if (!r_.source.active(seat)) r_.peer(seat).replicating = false;
    }
    if (unseen) return;
    r_.ctx.note(Notice::became_secondary);
    r_.ctx.emit(RoleChanged{false});
  }
}

// The history is given up: what was heard or proposed in it is past.
void Membership::forget_history() {
  hearsay_.reset();
  adopt_next_.reset();
  undecided_.reset();
  rumoured_.reset();
  unlearned_ = {};
  if (round_) fail_round(r_.ctx.config.retry);
}

void Membership::resign() {
  if (!holds_tenure()) return;
  release_lease();
  depose(r_.self());
}

// Another node became Primary: clients are told at once; what they had in flight is covered by our intent bits until the resync.
void Membership::depose(Seat by) {
  const bool was_primary = !end_caretaking() && role_ == Standing::primary;
  role_ = Standing::secondary;
  was_serving_ = false;
  confirm_needed_ = false;
  frozen_ = Reason::none;
  lease_.forget();
  r_.write_path.abandon();
  r_.source.abort_all();
  for (Seat seat : r_.data_peers()) r_.peer(seat).replicating = false;
  r_.ctx.note(Notice::deposed, by);
  if (was_primary) r_.ctx.emit(RoleChanged{false});
}

}  // namespace lockstep
