#include "core/membership/membership.h"

#include <algorithm>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

// What this node had not learned before it ended is not known any more: it learns it of everybody.
Membership::Membership(ReplicaImpl& replica) : r_(replica), lease_(replica.ctx.config.lease) {
  if (adopted()) unlearned_ = adopted()->members - SeatSet{r_.ctx.config.self};
}

const std::optional<Tenure>& Membership::adopted() const { return r_.ctx.record.adopted; }

bool Membership::completions_need(Seat seat) const {
  if (undecided_ && !undecided_->members.contains(seat) && MUTANT(ack_when_loss_proposed)) return false;
  const bool regains = r_.peer(seat).replicating && !r_.feed.active(seat) && !MUTANT(regaining_copy_not_awaited);
  if (member(seat) || regains) return true;
  if (MUTANT(undecided_set_ignored)) return false;
  if (undecided_ && undecided_->members.contains(seat)) return true;
  return adopting_ && adopting_->members.contains(seat);
}

bool Membership::is_resync_source() const {
  if (!adopted() || adopting_ || !r_.disk_usable || r_.ctx.record.inconsistent || r_.ctx.record.doubtful || !member(r_.self()))
    return false;
  if (role_ == Standing::primary) return true;
  if (adopted()->primary || !adopted()->clean || r_.admin.stopping()) return false;
  if (!(adopted()->members - r_.ctx.config.data_nodes).empty()) return false;  // it does not see them all
  return leader_without_primary({}) == r_.self();
}

// The author of the tenure goes on: what it copies to a third node is not begun anew by another one, because that has just joined.
Seat Membership::leader_without_primary(SeatSet besides) const {
  const SeatSet members = adopted()->members - besides;
  const auto fit = [this](Seat seat) { return seat == r_.self() || (r_.good_copy(seat) && !r_.admin.wants_dropped(seat)); };
  const Seat author = adopted()->origin.node;
  if (members.contains(author) && fit(author)) return author;
  for (Seat seat : members) {
    if (fit(seat)) return seat;
  }
  return kNoSeat;
}

void Membership::link_changed(Seat seat) {
  if (!r_.peer(seat).introduced) {
    if (seat.is_witness() || !r_.peer(seat).link_up) r_.peer(seat).seen_acceptor = {};
    return;
  }
  // A voter that comes back may be what a round or a lease waits for.
  {
    next_lease_request_ = kLongAgo;
    next_round_at_ = std::min(next_round_at_, r_.ctx.now);
  }
}

// A Primary whose own disk failed cannot drop its last member, and a resync needs a disk to read from.
void Membership::take_back_last_member() {
  if (role_ != Standing::primary || r_.disk_usable || adopting_ || round_ || undecided_) return;
  for (Seat seat : adopted()->members - SeatSet{r_.self()}) {
    Peer& peer = r_.peer(seat);
    if (peer.replicating || !r_.good_copy(seat) || peer.adopted != stamp()) continue;
    peer.replicating = true;
    r_.write_path.resend(seat);
  }
}

void Membership::evaluate() {
  introduce_unrecorded();
  adopt_hearsay();
  finish_adopting();
  hear_of_others();
  learn_disks();
  take_back_last_member();
  pump_fences();
  update_serving();
  pump_caretaker();
  pump_lease();
  if (round_ && round_->ready()) round_forcing_ ? propose_forced() : prepared();
  if (round_ && r_.ctx.now >= round_ends_at()) {
    give_up_unflushed();
    fail_round(r_.ctx.config.retry);
  }
  if (wants_round()) start_round();
}

Instant Membership::next_deadline() const {
  Instant due = kNever;
  if (round_) {
    due = std::min(due, round_ends_at());
    if (round_creating_ && round_->ready()) due = std::min(due, round_started_ + milliseconds(700));
  } else if (next_round_at_ > r_.ctx.now) {
    due = std::min(due, next_round_at_);
  }
  if (holds_tenure()) {
    if (!adopting_) due = std::min(due, next_lease_request_);
    if (serving()) due = std::min(due, lease_until());
    if (confirm_needed_ && next_confirm_at_ > r_.ctx.now) due = std::min(due, next_confirm_at_);
    if (next_win_over_at_ > r_.ctx.now && serving() && everybody_is_here() && without_a_seat(*adopted(), false))
      due = std::min(due, next_win_over_at_);
    for (const Voter& voter : adopted()->voters) {
      if (voter.seat.is_witness() && unseated_at(voter.seat) > r_.ctx.now) due = std::min(due, unseated_at(voter.seat));
    }
  }
  if (!holds_tenure() && caretaker_due_at_ > r_.ctx.now) due = std::min(due, caretaker_due_at_);
  if (!round_ && !holds_tenure() && accepted_unsettled()) due = std::min(due, r_.ctx.now + seconds(1));
  for (Seat seat : r_.data_peers()) {
    if (fence_wanted(seat) && next_fence_[seat.value] > r_.ctx.now) due = std::min(due, next_fence_[seat.value]);
  }
  return due;
}

}  // namespace lockstep
