#include "core/membership/round.h"

#include "base/mutation.h"

namespace lockstep {

Round::Round(Ballot ballot, const Voters& voters, uint32_t voter_set, bool creating, const Uuid& history)
    : ballot_(ballot), voter_set_(voter_set), history_(history), creating_(creating) {
  add_electorate(voters);
}

void Round::add_electorate(const Voters& voters) {
  for (const Voters& known : electorates_) {
    if (known == voters) return;
  }
  too_many_ = too_many_ || electorates_.full();
  if (!too_many_) electorates_.push_back(voters);
}

bool Round::majority(const Voters& voters, const Answers& answers, bool with_half) const {
  size_t agreeing = 0;
  bool all_in_half = true;
  for (const Voter& voter : voters) {
    const Uuid& answered = answers[voter.seat.value];
    if (answered.is_nil()) continue;
    if (!creating_ && answered != voter.acceptor && !MUTANT(any_acceptor_votes)) continue;
    ++agreeing;
    all_in_half = all_in_half && half_.contains(voter.seat);
  }
  const size_t others = voters.size() - agreeing;
  const bool half = agreeing == others || (MUTANT(fence_is_a_vote) && agreeing + 1 == others);
  if (with_half && all_in_half && agreeing > 0 && half) return true;
  if (MUTANT(minority_decides)) return 2 * agreeing + 1 >= voters.size();
  return 2 * agreeing > voters.size();
}

bool Round::agreed(const Answers& answers) const {
  if (too_many_) return false;
  for (const Voters& voters : electorates_) {
    if (!majority(voters, answers, true)) return false;
  }
  return true;
}

bool Round::real_majority() const {
  for (const Voters& voters : electorates_) {
    if (!majority(voters, accepted_, false)) return false;
  }
  return true;
}

// Some electorate names this acceptor at this seat. Others (an earlier life's, say) are strangers: what they accepted means nothing here.
bool Round::named(Seat seat, const Uuid& acceptor) const {
  if (creating_) return true;
  for (const Voters& voters : electorates_) {
    for (const Voter& voter : voters) {
      if (voter.seat == seat && voter.acceptor == acceptor) return true;
    }
  }
  return false;
}

bool Round::unanimous() const {
  for (const Voters& voters : electorates_) {
    for (const Voter& voter : voters) {
      if (acceptors_[voter.seat.value] != voter.acceptor) return false;
    }
  }
  return true;
}

void Round::promised(Seat seat, const Promise& answer) {
  if (phase_ != Phase::preparing || answer.ballot != ballot_ || seat.value >= kMaxSeats) return;
  acceptors_[seat.value] = answer.who.acceptor;
  if (!named(seat, answer.who.acceptor) && !MUTANT(any_acceptor_votes)) return;
  if (answer.tenure && !history_.is_nil() && answer.tenure->history != history_) return;
  if (answer.tenure && answer.accepted > found_ballot_) {
    found_ballot_ = answer.accepted;
    found_ = answer.tenure;
  }
  // A value with later voters may be decided by them: their majority has to be heard as well before anything is proposed.
  if (answer.tenure && answer.tenure->voter_set > voter_set_ && !only_them_) add_electorate(answer.tenure->voters);
}

void Round::propose(const Tenure& value) {
  CHECK(phase_ == Phase::preparing && agreed(acceptors_));
  add_electorate(value.voters);
  proposed_ = value;
  phase_ = Phase::proposing;
}

bool Round::accepted(Seat seat, const Accepted& answer) {
  if (phase_ != Phase::proposing || answer.ballot != ballot_ || seat.value >= kMaxSeats) return false;
  accepted_[seat.value] = answer.who.acceptor;
  voices_[seat.value] = answer.who;
  if (!agreed(accepted_)) return false;
  phase_ = Phase::decided;
  return true;
}

}  // namespace lockstep
