#include "core/membership/lease_keeper.h"

#include <algorithm>

#include "base/mutation.h"

namespace lockstep {

void LeaseKeeper::forget() {
  grants_.fill({});
  requests_.fill({});
}

uint64_t LeaseKeeper::begin_request(Instant now) {
  const uint64_t sequence = next_sequence_++;
  requests_[sequence % kRemembered] = {sequence, now};
  return sequence;
}

void LeaseKeeper::granted(const Voters& voters, Seat seat, const LeaseGranted& grant) {
  const Request& request = requests_[grant.sequence % kRemembered];
  if (request.sequence != grant.sequence || grant.sequence == 0) return;
  for (const Voter& voter : voters) {
    if (voter.seat != seat || voter.acceptor != grant.who.acceptor) continue;
    const Duration counted = MUTANT(lease_overstayed) ? length_ * 3 : length_;
    grants_[seat.value] = {std::max(granted_until(voter), request.sent + counted), voter.acceptor};
  }
}

// The latest of the voters' times by which a majority still grants. Asked in every step, of a handful: nothing is sorted.
Instant LeaseKeeper::by_majority(const Voters& voters) const {
  Instant latest = kLongAgo;
  for (const Voter& candidate : voters) {
    const Instant time = granted_until(candidate);
    if (time <= latest) continue;
    size_t granting = 0;
    for (const Voter& voter : voters) granting += granted_until(voter) >= time ? 1 : 0;
    if (2 * granting > voters.size()) latest = time;
  }
  return latest;
}

Instant LeaseKeeper::valid_until(const Voters& voters, SeatSet half) const {
  const Instant majority = by_majority(voters);
  if (half.empty()) return majority;
  size_t seats = 0;
  Instant by_half = kNever;
  for (const Voter& voter : voters) {
    if (!half.contains(voter.seat)) continue;
    ++seats;
    by_half = std::min(by_half, granted_until(voter));
  }
  const bool tie = seats > 0 && (2 * seats == voters.size() || MUTANT(fence_is_a_vote));
  return tie ? std::max(majority, by_half) : majority;
}

}  // namespace lockstep
