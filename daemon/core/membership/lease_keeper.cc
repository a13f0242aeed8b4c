#include "core/membership/lease_keeper.h"

#include <algorithm>

#include "base/mutation.h"

namespace lockstep {

void LeaseKeeper::forget() {
  until_.fill(kLongAgo);
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
    until_[seat.value] = std::max(until_[seat.value], request.sent + counted);
  }
}

Instant LeaseKeeper::valid_until(const Voters& voters, SeatSet half) const {
  InplaceVector<Instant, kMaxVoters> times;
  for (const Voter& voter : voters) times.push_back(until_[voter.seat.value]);
  if (times.empty()) return kLongAgo;
  std::sort(times.begin(), times.end(), [](Instant a, Instant b) { return a > b; });
  const Instant by_majority = times[times.size() / 2];  // the (n/2 + 1)-th latest: so many have granted at least until then
  size_t seats = 0;
  Instant by_half = kNever;
  for (const Voter& voter : voters) {
    if (!half.contains(voter.seat)) continue;
    ++seats;
    by_half = std::min(by_half, until_[voter.seat.value]);
  }
  const bool tie = seats > 0 && (2 * seats == voters.size() || MUTANT(fence_is_a_vote));
  return tie ? std::max(by_majority, by_half) : by_majority;
}

}  // namespace lockstep
