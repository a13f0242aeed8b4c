// Completed fences: what evidence that a boot has ended may change, and what it may not (design, section 2).
//
// It ends the leases of that boot. With an even number of voters it can break a tie: exactly half of them decide, if each voter of
// that half knows, in this boot, that an acceptance of its own was one of a real majority, and the fenced node is in the other half.
// Built for the half that is this node alone (two data nodes without a witness); a half of several voters is refused for now.
// Evidence names the boot that was known when the handler was started; a later boot of that node voids it.
//
// A peer that has recorded that it is Outdated (exit status 4) lives, and does not decide alone: a Primary may go on as half without it, a
// candidate may not. That is void as soon as the two meet: then the peer forgets it.
#include <algorithm>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr Duration kFenceAgain = seconds(5);  // after a handler that did not complete, while it still matters
constexpr int kStonithed = 7;
constexpr int kPeerIsPrimary = 6;
constexpr int kPeerIsOutdated = 4;
}  // namespace

void Membership::known_boot(Seat seat, const Boot& boot) {
  if (boot.is_nil() || boots_[seat.value] == boot) return;
  boots_[seat.value] = boot;
  ended_[seat.value] = {};
  stood_aside_.erase(seat);
}

void Membership::met(Seat seat, const PeerHello& hello) {
  known_boot(seat, hello.boot);
  if (!MUTANT(fence_outlives_meeting)) ended_[seat.value] = {};  // it speaks: whatever was fenced is not gone
}

bool Membership::fenced(Seat seat) const { return !ended_[seat.value].is_nil() && ended_[seat.value] == boots_[seat.value]; }

FenceSnapshot Membership::fence_shown(Seat seat) const {
  return {fences_running_.contains(seat), fenced(seat), last_fence_[seat.value]};
}

SeatSet Membership::broken_tie() const {
  if (!adopted() || !seasoned_ || r_.acceptor.failed()) return {};
  if (r_.ctx.record.outdated && !MUTANT(outdated_takes_over)) return {};
  const bool odd_too = MUTANT(fence_is_a_vote);
  if (adopted()->voters.size() != 2 && !odd_too) return {};
  for (const Voter& voter : adopted()->voters) {
    if (odd_too && voter.seat.is_witness()) continue;
    // With a third node about, the two could have voted together in a round of that one without having met.
    const bool aside = stood_aside_.contains(voter.seat) && r_.ctx.config.data_nodes.size() == 2 &&
                       (holds_tenure() || MUTANT(candidate_past_an_outdated_peer));
    const bool gone = (fenced(voter.seat) || aside) && !r_.peer(voter.seat).link_up;
    if (voter.seat != r_.self() && (voter.seat.is_witness() || !gone)) return {};
  }
  return SeatSet{r_.self()};
}

bool Membership::may_decide() const { return votes_answering() >= votes_needed() || !broken_tie().empty(); }

// Tells every voter whose acceptance was counted in a real majority: only such a voter may later decide as half.
void Membership::count_acceptances(const Round& round) {
  if (!round.real_majority()) return;
  for (Seat seat : r_.ctx.config.data_nodes | r_.ctx.config.witnesses) {
    const VoterIdentity& voice = round.accepted_by(seat);
    if (voice.acceptor.is_nil()) continue;
    if (seat == r_.self()) {
      voted_in_a_majority();
    } else {
      r_.send(seat, AcceptanceCounted{round.ballot(), voice.boot});
    }
  }
}

void Membership::declare_outdated() {
  if (r_.ctx.record.outdated) return;
  r_.ctx.record.outdated = true;
  r_.records.changed();
  r_.ctx.note(Notice::outdated);
}

// Whatever others decided without this node before, a majority that it is part of knows of it.
void Membership::voted_in_a_majority() {
  seasoned_ = true;
  if (!r_.ctx.record.outdated) return;
  r_.ctx.record.outdated = false;
  r_.records.changed();
  r_.ctx.note(Notice::outdated_no_more);
}

// Of two voters the other one: what it is in, this node has adopted.
void Membership::hear_of_others() {
  if (!r_.ctx.record.outdated || !adopted() || adopting_) return;
  for (const Voter& voter : adopted()->voters) {
    const Peer& peer = r_.peer(voter.seat);
    if (voter.seat == r_.self() || voter.seat.is_witness() || !peer.met || peer.adopted != stamp()) continue;
    r_.ctx.record.outdated = false;
    r_.records.changed();
    return r_.ctx.note(Notice::outdated_no_more);
  }
}

// A node with neither a vote nor a copy in this tenure cannot decide anything in its history: its end would gain nothing. It may well be
// the one that serves, in another history (seed 538156545896: a node that had been forced shot those who were right, again and again).
bool Membership::has_part(Seat peer) const {
  const Voters& voters = adopted()->voters;
  const bool votes = std::any_of(voters.begin(), voters.end(), [peer](const Voter& v) { return v.seat == peer; });
  return votes || adopted()->members.contains(peer);
}

bool Membership::fence_wanted(Seat peer) const {
  const CoreConfig& config = r_.ctx.config;
  if (!config.fence_handler || config.fencing == FencingPolicy::dont_care || !adopted() || r_.peer(peer).link_up) return false;
  if (boots_[peer.value].is_nil() || fenced(peer) || (holds_tenure() && stood_aside_.contains(peer))) return false;
  const Tenure& tenure = *adopted();
  const bool always = config.fencing == FencingPolicy::resource_and_stonith;
  // Nobody waits for a caretaker, unless its node is to be Primary by a command.
  if (caretaking() && holds_tenure()) return r_.admin.wants_promotion() && !may_decide() && has_part(peer);
  if (holds_tenure()) return tenure.members.contains(peer) && (always || !may_decide());
  // A candidate: the Primary before may be alive, and its lease with it.
  const bool was_primary = tenure.primary && tenure.primary->node == peer;
  if (!r_.admin.wants_promotion() || r_.ctx.record.inconsistent || !tenure.members.contains(r_.self())) return false;
  return (!may_decide() && has_part(peer)) || (always && was_primary);
}

void Membership::pump_fences() {
  for (Seat seat : r_.data_peers()) {
    if (fences_running_.contains(seat) || r_.ctx.now < next_fence_[seat.value] || !fence_wanted(seat)) continue;
    fences_running_.insert(seat);
    fence_begun_[seat.value] = r_.ctx.now;
    r_.ctx.note(Notice::fence_started, seat);
    r_.ctx.emit(RunFence{seat, boots_[seat.value]});
  }
}

// It comes, and forgets what it had said as soon as it hears this node. A round that counts on it must not be decided any more: what the peer
// had granted before would carry a tenure that it has never heard of (found by a review).
void Membership::forget_word_of(Seat peer) {
  if (!stood_aside_.contains(peer) || MUTANT(outdated_peer_met)) return;
  stood_aside_.erase(peer);
  if (round_) fail_round(r_.ctx.config.retry);
}

// Said of this time without it: a word from before the two last met is about nothing.
bool Membership::stood_aside(Seat peer, const FenceDone& done) const {
  const bool primary = holds_tenure() || MUTANT(candidate_past_an_outdated_peer);
  const bool pair = r_.ctx.config.data_nodes.size() == 2;
  return done.exit_status == kPeerIsOutdated && primary && pair && r_.peer(peer).since <= fence_begun_[peer.value];
}

void Membership::fence_done(const FenceDone& done) {
  const bool running = fences_running_.contains(done.peer);
  fences_running_.erase(done.peer);
  last_fence_[done.peer.value] = done.exit_status;
  r_.admin.fence_ended();
  next_fence_[done.peer.value] = r_.ctx.now + kFenceAgain;
  r_.ctx.note(Notice::fence_finished, done.peer, static_cast<uint64_t>(done.exit_status));
  const bool since_apart = running && r_.peer(done.peer).since <= fence_begun_[done.peer.value] && !r_.peer(done.peer).link_up;
  if (done.exit_status == kPeerIsPrimary) {
    if (since_apart && adopted() && !holds_tenure()) declare_outdated();
    r_.admin.peer_found_primary();
    return;
  }
  const Boot evidence = MUTANT(late_fence_counts) ? boots_[done.peer.value] : done.evidence;
  const bool current = evidence == boots_[done.peer.value] && !evidence.is_nil() && !r_.peer(done.peer).link_up;
  const bool aside = running && stood_aside(done.peer, done);
  if ((done.exit_status != kStonithed && !aside) || !current)
    return r_.ctx.note(Notice::fence_ignored, done.peer, static_cast<uint64_t>(done.exit_status));
  next_round_at_ = r_.ctx.now;
  next_lease_request_ = kLongAgo;
  if (aside) return stood_aside_.insert(done.peer);
  ended_[done.peer.value] = evidence;
  ask_voters(BootEnded{done.peer, evidence});
}

}  // namespace lockstep
