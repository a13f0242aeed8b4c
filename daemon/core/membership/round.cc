#include "core/membership/round.h"

namespace lockstep {

Round::Round(Ballot ballot, const Voters& voters, bool creating) : ballot_(ballot), creating_(creating) {
  add_electorate(voters);
}

void Round::add_electorate(const Voters& voters) {
  for (const Voters& known : electorates_) {
    if (known == voters) return;
  }
  electorates_.push_back(voters);
}

bool Round::majority(const Voters& voters, const Answers& answers) const {
  size_t agreeing = 0;
  for (const Voter& voter : voters) {
    const Uuid& answered = answers[voter.seat.value];
    if (answered.is_nil()) continue;
    if (creating_ || answered == voter.acceptor) ++agreeing;
  }
  return 2 * agreeing > voters.size();
}

bool Round::agreed(const Answers& answers) const {
  for (const Voters& voters : electorates_) {
    if (!majority(voters, answers)) return false;
  }
  return true;
}

void Round::promised(Seat seat, const Promise& answer) {
  if (phase_ != Phase::preparing || answer.ballot != ballot_ || seat.value >= kMaxSeats) return;
  acceptors_[seat.value] = answer.who.acceptor;
  if (answer.tenure && answer.accepted > found_ballot_) {
    found_ballot_ = answer.accepted;
    found_ = answer.tenure;
  }
  // A value with other voters may be decided by them: their majority has to be heard as well before anything is proposed.
  if (answer.tenure) add_electorate(answer.tenure->voters);
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
  if (!agreed(accepted_)) return false;
  phase_ = Phase::decided;
  return true;
}

}  // namespace lockstep
