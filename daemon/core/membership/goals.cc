// What the next tenure should say. Pure questions; membership.cc asks them after every step.
#include <algorithm>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

namespace {
constexpr Duration kElsewhere = seconds(5);  // a voter that was in another history is asked again after so long: it may be back
}

bool Membership::reachable(Seat seat) const { return seat == r_.self() ? !r_.acceptor.failed() : r_.peer(seat).introduced; }

Voters Membership::configured_voters() const {
  Voters voters;
  for (Seat seat : r_.ctx.config.data_nodes | r_.ctx.config.witnesses) {
    Uuid acceptor;
    if (round_) acceptor = round_->acceptor_at(seat);
    voters.push_back({seat, acceptor});
  }
  return voters;
}

uint32_t Membership::votes_needed() const {
  const size_t voters = adopted() ? adopted()->voters.size() : configured_voters().size();
  return static_cast<uint32_t>(voters / 2 + 1);
}

bool Membership::answers(const Voter& voter) const {
  if (!reachable(voter.seat)) return false;
  if (!adopted()) return true;
  if (voter.seat == r_.self()) return voter.acceptor == r_.ctx.record.acceptor.acceptor;
  const Uuid& seen = r_.peer(voter.seat).seen_acceptor;
  if (voter.acceptor.is_nil() || (!seen.is_nil() && seen != voter.acceptor)) return false;
  return r_.ctx.now >= r_.peer(voter.seat).elsewhere + kElsewhere;
}

uint32_t Membership::votes_answering() const {
  const Voters voters = adopted() ? adopted()->voters : configured_voters();
  return static_cast<uint32_t>(std::count_if(voters.begin(), voters.end(), [this](const Voter& v) { return answers(v); }));
}

// A node whose disk is gone may have let go of its vote with it.
bool Membership::needs_own_vote() const {
  const Voters& voters = adopted()->voters;
  const auto own = [this](const Voter& v) { return v.seat == r_.self() && answers(v); };
  if (std::none_of(voters.begin(), voters.end(), own)) return false;
  const auto others = std::count_if(voters.begin(), voters.end(), [this](const Voter& v) {
    const bool diskless = !v.seat.is_witness() && r_.peer(v.seat).met && !r_.peer(v.seat).disk_usable;
    return v.seat != r_.self() && !diskless && answers(v);
  });
  return static_cast<uint32_t>(others) < votes_needed();
}

// Members that keep every acknowledged write from here on. The last one is never given up: then nothing changes, and I/O that
// needs the others stays frozen.
SeatSet Membership::healthy_members(const Tenure& from) const {
  const bool primary = from.primary == r_.ctx.self_holder();
  SeatSet healthy;
  for (Seat seat : from.members) {
    if (primary && feeds(seat)) continue;
    // Whom the configuration lacks is put out by a Primary, and by nobody else: a start with a wrong file costs no copy its place.
    // Nor does it go while its vote has to stay.
    const bool kept = r_.admin.nodes().leaving(seat) && !decides_without(from, seat);
    if ((r_.admin.wants_dropped(seat) && !kept) || (primary && !r_.ctx.config.data_nodes.contains(seat))) continue;
    if (seat == r_.self()) {
      // A promotion is carried through first: a Primary may then go on without its own disk.
      if (r_.disk_usable || role_ == Standing::becoming_primary) healthy.insert(seat);
      continue;
    }
    const Peer& peer = r_.peer(seat);
    // Without a Primary nothing is written: a member that is away has missed nothing.
    const bool good =
        primary ? peer.met && peer.replicating && peer.disk_usable && !peer.inconsistent : !peer.met || r_.good_copy(seat);
    if (good) healthy.insert(seat);
  }
  return healthy.empty() ? from.members : healthy;
}

// A seat whose voter answers as another acceptor than the tenure names (never heard before, or its storage was emptied), when the
// other voters are a majority without it.
std::optional<Voter> Membership::seat_to_fill(const Tenure& from) const {
  if (MUTANT(seat_stays_empty)) return std::nullopt;
  for (const Voter& voter : from.voters) {
    if (!reachable(voter.seat)) continue;
    // It votes in another history, until it has accepted something in this one (as in seat_to_add).
    const Peer& peer = r_.peer(voter.seat);
    if (voter.seat != r_.self() && r_.ctx.now < peer.elsewhere + kElsewhere && !peer.accepts) continue;
    const Uuid& seen = voter.seat == r_.self() ? r_.ctx.record.acceptor.acceptor : r_.peer(voter.seat).seen_acceptor;
    if (!seen.is_nil() && seen != voter.acceptor) return Voter{voter.seat, seen};
  }
  return std::nullopt;
}

// With a fence at hand a silent witness is in the way: with it the voters are odd, and a fence is no vote. So it goes while all data nodes
// are there to decide that, and comes back as it answers (seat_to_add).
Instant Membership::unseated_at(Seat witness) const {
  const CoreConfig& config = r_.ctx.config;
  // With more than two voters left a fence is no vote either, and there would only be one less that may be lost.
  const bool can_fence = config.fence_handler && config.fencing != FencingPolicy::dont_care && config.data_nodes.size() == 2;
  if (!can_fence || config.witness_timeout.ns <= 0 || reachable(witness)) return kNever;
  return r_.peer(witness).since + config.witness_timeout;
}

// Both electorates decide such a tenure: one that cannot would be asked for ever, once the older one has accepted it (seed 714442: a node was taken
// out while the witness was away, which came back without its state).
bool Membership::decides_without(const Tenure& from, Seat leaving) const {
  if (std::none_of(from.voters.begin(), from.voters.end(), [leaving](const Voter& v) { return v.seat == leaving; })) return true;
  const auto answering =
      std::count_if(from.voters.begin(), from.voters.end(), [&](const Voter& v) { return v.seat != leaving && answers(v); });
  return static_cast<size_t>(answering) >= (from.voters.size() - 1) / 2 + 1;
}

// Who the configuration has no more, or a witness that is silent, while every data node that stays is here to decide that.
std::optional<Seat> Membership::seat_to_drop(const Tenure& from) const {
  if (!everybody_is_here()) return std::nullopt;
  const SeatSet configured = r_.ctx.config.data_nodes | r_.ctx.config.witnesses;
  for (const Voter& voter : from.voters) {
    const bool goes = !configured.contains(voter.seat) || r_.admin.nodes().leaving(voter.seat);
    const bool silent = voter.seat.is_witness() && r_.ctx.now >= unseated_at(voter.seat);
    if ((goes || silent) && decides_without(from, voter.seat)) return voter.seat;
  }
  return std::nullopt;
}

// A configured voter that can be reached and has no seat: it was away when a history was forced, or is new. Not one that some data node
// does not know: that one could not ask it, and would count it all the same.
std::optional<Voter> Membership::without_a_seat(const Tenure& from, bool accepting) const {
  for (Seat seat : r_.ctx.config.data_nodes | r_.ctx.config.witnesses) {
    const AcceptorRecord& own = r_.ctx.record.acceptor;
    const bool self = seat == r_.self();
    const Uuid& acceptor = self ? own.acceptor : r_.peer(seat).seen_acceptor;
    const bool accepts = self ? own.tenure && own.tenure->history == from.history : r_.peer(seat).accepts;
    const bool seated = std::any_of(from.voters.begin(), from.voters.end(), [seat](const Voter& v) { return v.seat == seat; });
    const bool stays = !r_.admin.nodes().leaving(seat) && r_.admin.nodes().known_everywhere(seat);
    if (!seated && stays && reachable(seat) && !acceptor.is_nil() && accepts == accepting) return Voter{seat, acceptor};
  }
  return std::nullopt;
}

// Only one that has accepted something in this history: with a set of two, a voter of another one could neither vote nor be done without.
// And only while every data node is in this history: a witness that another one may still count on is not taken away from it.
std::optional<Voter> Membership::seat_to_add(const Tenure& from) const {
  if (from.voters.full() || !everybody_is_here()) return std::nullopt;
  return without_a_seat(from, true);
}

// A round that proposes the tenure as it is, so that such a voter comes over.
bool Membership::win_over_due() const {
  return serving() && everybody_is_here() && r_.ctx.now >= next_win_over_at_ && without_a_seat(*adopted(), false).has_value();
}

SeatSet Membership::desired_members(const Tenure& from) const {
  SeatSet members = healthy_members(from);
  for (Seat seat : r_.data_peers()) {
    const Peer& peer = r_.peer(seat);
    if (feeds(seat)) {
      // What a Primary leaves behind in order is the same everywhere.
      if (hand_over_desired(from) && (r_.feed.level(seat) || (MUTANT(follower_taken_in_behind) && r_.feed.follows(seat))) &&
          r_.good_copy(seat))
        members.insert(seat);
      continue;
    }
    const bool whole = peer.met && peer.disk_usable && peer.replicating;
    if (r_.source.may_join(seat) && !MUTANT(join_not_proposed) && whole && !r_.admin.wants_dropped(seat)) members.insert(seat);
  }
  return members;
}

// No caretaker: it serves nobody, and levels every copy as it is under protocol C.
bool Membership::feeds(Seat seat) const {
  return r_.ctx.config.asynchronous.contains(seat) && holds_tenure() && r_.disk_usable && !caretaker_ && !caretaker_wish_;
}

bool Membership::hand_over_desired(const Tenure& from) const {
  return from.primary == r_.ctx.self_holder() && (r_.admin.wants_demotion() || hand_back_);
}

// Every data node is in the set, is there, and has what is written.
bool Membership::all_current() const {
  if (!adopted() || adopting_ || undecided_ || adopted()->members != r_.ctx.config.data_nodes || !r_.disk_usable) return false;
  for (Seat seat : r_.data_peers()) {
    if (!r_.peer(seat).replicating || !r_.good_copy(seat) || r_.admin.wants_dropped(seat)) return false;
  }
  return true;
}

// Where it grows, this copy is to be the only current one: never if its disk has failed meanwhile. And no resync is under way, which would not look
// at what is marked then: it is about the volume as it was (found by a review: a copy that was about to join lacked all that was new). Where
// it shrinks, what clients asked for beyond the new end is over first.
bool Membership::resize_desired(const Tenure& from) const {
  const uint64_t wanted = r_.admin.wants_size();
  if (wanted == 0 || wanted == span_of(from) || from.primary != r_.ctx.self_holder()) return false;
  if (!r_.disk_usable || from.members != r_.ctx.config.data_nodes) return false;
  for (Seat seat : r_.data_peers()) {
    if (r_.source.active(seat)) return false;
  }
  return wanted > span_of(from) || !r_.write_path.busy_beyond(wanted);
}

// What was proposed may still be decided when the command that wanted it is over.
uint64_t Membership::end_of_service() const {
  uint64_t end = std::min(span_of(*adopted()), r_.admin.shrinks_to());
  if (undecided_ && !undecided_->volumes.empty()) end = std::min(end, span_of(*undecided_));
  if (adopting_ && !adopting_->volumes.empty()) end = std::min(end, span_of(*adopting_));
  return end;
}

bool Membership::size_undecided() const {
  const auto other = [this](const std::optional<Tenure>& next) {
    return next && !next->volumes.empty() && span_of(*next) != span_of(*adopted());
  };
  return adopted() && (other(undecided_) || other(adopting_));
}

// One seat at a time. A broken tie seats nobody.
bool Membership::may_seat() const { return serving() && votes_answering() >= votes_needed(); }

// Asked after every step: without making the tenure that it asks about.
bool Membership::change_desired(const Tenure& from) const {
  if (desired_members(from) != from.members || hand_over_desired(from) || resize_desired(from)) return true;
  return may_seat() && (seat_to_fill(from) || seat_to_drop(from) || seat_to_add(from));
}

void Membership::change_a_seat(Tenure& next) const {
  if (const auto voter = seat_to_fill(next)) {
    for (Voter& seat : next.voters) {
      if (seat.seat == voter->seat) seat.acceptor = voter->acceptor;
    }
  } else if (const auto leaving = seat_to_drop(next)) {
    const Voters before = next.voters;
    next.voters.clear();
    for (const Voter& seat : before) {
      if (seat.seat != *leaving) next.voters.push_back(seat);
    }
  } else if (const auto seat = seat_to_add(next)) {
    next.voters.push_back(*seat);
  } else {
    return;
  }
  ++next.voter_set;
}

Tenure Membership::desired(const Tenure& from) const {
  Tenure next = from;
  next.members = desired_members(from);
  if (hand_over_desired(from)) {
    next.primary.reset();
    next.clean = true;
  }
  if (resize_desired(from)) {
    const bool grows = r_.admin.wants_size() > span_of(from);
    next.volumes[0].size_bytes = r_.admin.wants_size();  // the only one: Admin::choose_size
    if (grows && !r_.admin.assumes_clean()) next.members = SeatSet{r_.self()};
  }
  if (next == from && may_seat()) change_a_seat(next);
  if (next == from) return from;
  next.number = from.number + 1;
  if (round_) next.origin = round_->ballot();
  return next;
}

// After a clean hand-over the set stays. Otherwise it is this copy alone: the others come back by resync, from every extent that
// the Primary before may have been writing.
Tenure Membership::promoted(const Tenure& from) const {
  Tenure next = from;
  next.number = from.number + 1;
  next.origin = round_->ballot();
  next.primary = r_.ctx.self_holder();
  if (!from.clean && !MUTANT(unclean_set_kept)) next.members = SeatSet{r_.self()};
  for (Seat seat : from.members - SeatSet{r_.self()}) {
    if (r_.peer(seat).met && !r_.good_copy(seat)) next.members.erase(seat);
    if (!r_.ctx.config.data_nodes.contains(seat)) next.members.erase(seat);
    if (r_.ctx.config.asynchronous.contains(seat) && !caretaker_wish_) next.members.erase(seat);
  }
  next.clean = false;
  return next;
}

Tenure Membership::created() const {
  Tenure first;
  first.history = r_.admin.fresh();
  first.number = 1;
  first.origin = round_->ballot();
  first.voter_set = 1;
  first.voters = configured_voters();
  first.volumes = r_.admin.volumes_to_create();
  if (r_.admin.create_as_primary()) {
    first.primary = r_.ctx.self_holder();
    first.members = SeatSet{r_.self()};
  } else {
    first.clean = true;
    first.members = r_.ctx.config.data_nodes;
  }
  return first;
}

}  // namespace lockstep
