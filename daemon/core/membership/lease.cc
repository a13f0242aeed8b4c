// The Primary's lease and what depends on it: may clients be answered now?
#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

bool Membership::tenure_given_up() const {
  const Holder self = r_.ctx.self_holder();
  return (undecided_ && undecided_->primary != self) || (adopting_ && adopting_->primary != self);
}

bool Membership::handing_over() const {
  return role_ == Standing::primary && (r_.admin.wants_demotion() || hand_back_ || tenure_given_up());
}

bool Membership::serving() const {
  if (MUTANT(serve_without_lease)) return role_ == Standing::primary && !handing_over();
  return role_ == Standing::primary && !confirm_needed_ && !handing_over() &&
         lease_.valid(adopted()->voters, r_.ctx.now, broken_tie());
}

Instant Membership::lease_until() const {
  return adopted() && holds_tenure() ? lease_.valid_until(adopted()->voters, broken_tie()) : kLongAgo;
}

// Called before anything else in a step. A lease that ran out is lost even if a late grant would revive it: while it was not
// held, another node may have become Primary. A round that finds our tenure decided says that none did.
void Membership::time_passed() {
  if (MUTANT(lost_lease_taken_again)) return;
  if (role_ == Standing::primary && !confirm_needed_ && !lease_.valid(adopted()->voters, r_.ctx.now, broken_tie()))
    confirm_needed_ = true;
}

// Voters that started a moment ago vote for the tenure and grant no lease: found decided, and lost again at once. Until the lease is there, one
// round in a while is enough.
bool Membership::confirm_due() const {
  return confirm_needed_ && (lease_.valid(adopted()->voters, r_.ctx.now, broken_tie()) || r_.ctx.now >= next_confirm_at_);
}

// While it hands over it is not frozen, as long as it has its lease. If the command ends, and what it proposed is not decided, it is.
Reason Membership::why_frozen() const {
  const bool leased = !confirm_needed_ && lease_.valid(adopted()->voters, r_.ctx.now, broken_tie());
  if (r_.admin.wants_demotion() || hand_back_) return leased ? frozen_ : Reason::lease_lost;
  return tenure_given_up() ? Reason::no_quorum : Reason::lease_lost;
}

void Membership::update_serving() {
  // A tenure that is being handed back, since the command that wanted it had ended, makes no Primary: a later command wins another.
  if (role_ == Standing::becoming_primary && promotion_wished() && !tenure_given_up() &&
      lease_.valid(adopted()->voters, r_.ctx.now, broken_tie())) {
    role_ = Standing::primary;
    r_.write_path.became_primary();
    promotion_commanded() ? open_to_clients() : begin_caretaking();
  }
  const bool now_serving = serving();
  const bool changed = now_serving != std::exchange(was_serving_, now_serving);
  if (role_ != Standing::primary) return;
  const Reason reason = now_serving ? Reason::none : why_frozen();
  const Reason told = MUTANT(freeze_without_reason) ? Reason::none : reason;
  if (reason != std::exchange(frozen_, reason))
    r_.ctx.note(now_serving ? Notice::thawed : Notice::frozen, kNoSeat, static_cast<uint64_t>(told));
  if (changed) r_.write_path.serving_changed();
}

void Membership::pump_lease() {
  if (!holds_tenure() || adopting_ || r_.ctx.now < next_lease_request_) return;
  request_lease();
}

void Membership::request_lease() {
  const Duration length = r_.ctx.config.lease;
  // While the lease is being won or won back, ask more often: every answer counts.
  const bool steady = lease_.valid(adopted()->voters, r_.ctx.now, broken_tie()) && !confirm_needed_;
  next_lease_request_ = r_.ctx.now + (steady ? length / 3 : std::min(length / 3, r_.ctx.config.retry));
  ask_voters(LeaseRequest{lease_.begin_request(r_.ctx.now), r_.ctx.self_holder(), stamp(), adopted()->origin, length});
}

void Membership::lease_answer(Seat from, const LeaseGranted& grant) {
  heard(from, grant.who);
  if (holds_tenure() && !adopting_) lease_.granted(adopted()->voters, from, grant);
}

void Membership::lease_answer(Seat from, const LeaseRefused& refusal) {
  heard(from, refusal.who);
  highest_counter_ = std::max(highest_counter_, refusal.promised.counter);
  if (!holds_tenure() || adopting_) return;
  for (const Voter& voter : adopted()->voters) {
    // A voter that lacks our tenure, or promised somebody else, grants again once it has accepted the tenure under a newer ballot.
    if (voter.seat != from || voter.acceptor != refusal.who.acceptor) continue;
    if (refusal.why == VoteRefusal::not_my_tenure || refusal.why == VoteRefusal::lower_ballot) rebase_needed_ = true;
  }
}

void Membership::release_lease() {
  lease_.forget();
  ask_voters(LeaseReleased{r_.ctx.self_holder()});
}

}  // namespace lockstep
