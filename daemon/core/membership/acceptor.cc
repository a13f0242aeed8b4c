#include "core/membership/acceptor.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"

namespace lockstep {

Acceptor::Acceptor(AcceptorRecord record, Boot boot, int drift_permille, Instant started)
    : record_(std::move(record)), boot_(boot), drift_permille_(drift_permille), silent_until_(started) {
  durable_longest_ = record_.longest_lease;
  if (record_.longest_lease > Duration{}) silent_until_ = started + with_drift(record_.longest_lease);
}

std::optional<Holder> Acceptor::lease_holder(Instant now) const {
  return lease_holder_ && now < lease_until_ ? lease_holder_ : std::nullopt;
}

std::optional<Acceptor::Obstacle> Acceptor::obstacle(Instant now, const Holder& candidate) const {
  if (failed_) return Obstacle{VoteRefusal::storage_failed, {}, kNoSeat};
  if (now < silent_until_ && !MUTANT(vote_at_once_after_start))
    return Obstacle{VoteRefusal::just_started, silent_until_ - now, kNoSeat};
  const auto holder = lease_holder(now);
  if (holder && *holder != candidate) return Obstacle{VoteRefusal::lease_running, lease_until_ - now, holder->node};
  return std::nullopt;
}

VoterAnswer Acceptor::refuse(const Ballot& ballot, const Obstacle& obstacle) const {
  VoteRefused answer;
  answer.ballot = ballot;
  answer.why = obstacle.why;
  answer.who = identity();
  answer.promised = record_.promised;
  answer.wait = obstacle.wait;
  answer.holder = obstacle.holder;
  // With a lease: who holds it, and whether the asker's copy is in the set.
  if (obstacle.why == VoteRefusal::later_voter_set || obstacle.why == VoteRefusal::lease_running ||
      obstacle.why == VoteRefusal::other_history)
    answer.tenure = record_.tenure;
  return {answer, false};
}

// A voter votes in one history. Out of it only a forced promotion takes it, or a Primary whose history all data nodes are in.
bool Acceptor::elsewhere(const Uuid& history) const {
  return record_.tenure && !history.is_nil() && record_.tenure->history != history;
}

VoterAnswer Acceptor::prepare(Instant now, const Prepare& request) {
  if (const auto found = obstacle(now, request.candidate); found && !MUTANT(vote_under_lease))
    return refuse(request.ballot, *found);
  // Who leaves this history with its voters need not know who they are by now.
  if (!request.moves && elsewhere(request.history)) return refuse(request.ballot, {VoteRefusal::other_history, {}, kNoSeat});
  if (!request.moves && record_.tenure && record_.tenure->voter_set > request.voter_set)
    return refuse(request.ballot, {VoteRefusal::later_voter_set, {}, kNoSeat});
  if (request.ballot <= record_.promised) return refuse(request.ballot, {VoteRefusal::lower_ballot, {}, kNoSeat});
  record_.promised = request.ballot;
  return {Promise{request.ballot, identity(), record_.accepted, record_.tenure}, true};
}

VoterAnswer Acceptor::accept(Instant now, const Accept& request) {
  // A ballot that was promised before the lease began is bound by the lease all the same (model, finding 2).
  if (const auto found = obstacle(now, request.candidate); found && !MUTANT(vote_under_lease))
    return refuse(request.ballot, *found);
  if (elsewhere(request.tenure.history) && !request.moves)
    return refuse(request.ballot, {VoteRefusal::other_history, {}, kNoSeat});
  if (request.ballot < record_.promised) return refuse(request.ballot, {VoteRefusal::lower_ballot, {}, kNoSeat});
  record_.promised = request.ballot;
  record_.accepted = request.ballot;
  record_.tenure = request.tenure;
  return {Accepted{request.ballot, identity()}, !MUTANT(acceptance_not_durable)};
}

VoterAnswer Acceptor::lease(Instant now, const LeaseRequest& request) {
  LeaseRefused refusal;
  refusal.sequence = request.sequence;
  refusal.who = identity();
  refusal.promised = record_.promised;
  if (const auto found = obstacle(now, request.holder)) {
    refusal.why = found->why;
    refusal.wait = found->wait;
    return {refusal, false};
  }
  const bool mine = record_.tenure && stamp_of(*record_.tenure) == request.tenure && record_.tenure->origin == request.origin &&
                    record_.tenure->primary == request.holder;
  if (!mine && !MUTANT(lost_lease_taken_again)) {
    refusal.why = VoteRefusal::not_my_tenure;
    return {refusal, false};
  }
  const bool promised_elsewhere = record_.promised > record_.accepted && (record_.promised.node != request.holder.node ||
                                                                          record_.promised.start != request.holder.start);
  if (promised_elsewhere) {
    refusal.why = VoteRefusal::lower_ballot;
    return {refusal, false};
  }
  record_.longest_lease = std::max(record_.longest_lease, request.length);
  lease_holder_ = request.holder;
  lease_until_ = std::max(lease_until_, now + with_drift(request.length));
  return {LeaseGranted{request.sequence, identity()}, request.length > durable_longest_};
}

void Acceptor::released(const LeaseReleased& notice) {
  if (lease_holder_ == notice.holder) lease_holder_.reset();
}

void Acceptor::boot_ended(const BootEnded& notice) {
  if (lease_holder_ && lease_holder_->node == notice.node && lease_holder_->boot == notice.boot) lease_holder_.reset();
}

}  // namespace lockstep
