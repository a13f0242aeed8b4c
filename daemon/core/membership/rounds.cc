// Rounds of the tenure register, as this node runs and answers them.
#include <algorithm>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

namespace {
constexpr Duration kCreationPatience = milliseconds(700);  // how long creation waits to hear every voter that is connected
}

void Membership::heard(Seat from, const VoterIdentity& who) {
  if (from == r_.self()) return;
  r_.peer(from).seen_acceptor = who.acceptor;
  known_boot(from, who.boot);
}

// Who asks tells its boot too. Evidence about an earlier boot is void from then on, even if the meeting of the two comes later: a node
// that helped the next boot to decide may not decide alone against it (found by the exhaustive check of the register).
void Membership::asked_by(Seat from, const Message& message) {
  if (from == r_.self()) return;
  if (const auto* prepare = std::get_if<Prepare>(&message)) known_boot(from, prepare->candidate.boot);
  if (const auto* accept = std::get_if<Accept>(&message)) known_boot(from, accept->candidate.boot);
  if (const auto* lease = std::get_if<LeaseRequest>(&message)) known_boot(from, lease->holder.boot);
}

void Membership::register_message(Seat from, const Message& message) {
  if (from != r_.self() && !counts(from, message)) return;
  const Instant now = r_.ctx.now;
  asked_by(from, message);
  if (const auto* prepare = std::get_if<Prepare>(&message)) return answer(from, r_.acceptor.prepare(now, *prepare));
  if (const auto* accept = std::get_if<Accept>(&message)) return answer(from, r_.acceptor.accept(now, *accept));
  if (const auto* lease = std::get_if<LeaseRequest>(&message)) return answer(from, r_.acceptor.lease(now, *lease));
  if (const auto* released = std::get_if<LeaseReleased>(&message)) return r_.acceptor.released(*released);
  if (const auto* ended = std::get_if<BootEnded>(&message)) return r_.acceptor.boot_ended(*ended);
  if (const auto* counted = std::get_if<AcceptanceCounted>(&message)) {
    if (counted->boot == r_.ctx.record.boot && counted->ballot == r_.acceptor.record().accepted) voted_in_a_majority();
    return;
  }
  if (const auto* granted = std::get_if<LeaseGranted>(&message)) return lease_answer(from, *granted);
  if (const auto* denied = std::get_if<LeaseRefused>(&message)) return lease_answer(from, *denied);
  if (const auto* no = std::get_if<VoteRefused>(&message)) return refused(from, *no);
  if (const auto* promise = std::get_if<Promise>(&message)) {
    heard(from, promise->who);
    highest_counter_ = std::max(highest_counter_, promise->accepted.counter);
    if (round_) round_->promised(from, *promise);
    return;
  }
  if (const auto* accepted = std::get_if<Accepted>(&message)) {
    heard(from, accepted->who);
    if (from != r_.self() && accepted->ballot.node == r_.self() && accepted->ballot.start == r_.ctx.record.start())
      r_.peer(from).accepts = true;
    if (!round_ || !round_->accepted(from, *accepted)) return;
    count_acceptances(*round_);
    const Tenure value = *round_->proposed();
    if (!round_->real_majority() && !stood_aside_.empty()) lease_anew_ = value.number;
    decided(value);
  }
}

void Membership::answer(Seat to, VoterAnswer answer) {
  if (!r_.acceptor.failed()) r_.ctx.record.acceptor = r_.acceptor.record();
  if (!answer.durable_first) return deliver(to, answer.message);
  r_.records.changed([this, to, message = std::move(answer.message), longest = r_.ctx.record.acceptor.longest_lease] {
    r_.acceptor.longest_lease_durable(longest);
    deliver(to, message);
  });
}

void Membership::deliver(Seat to, const Message& answer) {
  if (to == r_.self()) return register_message(to, answer);
  r_.send(to, answer);
}

void Membership::ask_voters(const Message& message) {
  for (Seat seat : r_.ctx.config.data_nodes | r_.ctx.config.witnesses) {
    if (seat != r_.self()) r_.send(seat, message);
  }
  register_message(r_.self(), message);
}

bool Membership::accepted_unsettled() const {
  const auto& accepted = r_.acceptor.record().tenure;
  return accepted && adopted() && accepted->history == adopted()->history && accepted->number > adopted()->number;
}

// Nobody is there who would tell how the tenure that we accepted ended.
bool Membership::primary_away() const {
  const Seat teller = r_.acceptor.record().tenure->origin.node;
  if (teller == r_.self() || !r_.data_peers().contains(teller)) return true;
  const Peer& peer = r_.peer(teller);
  if (peer.met && peer.run.start != r_.acceptor.record().tenure->origin.start)
    return true;  // in a later run: it never heard the end
  return !peer.met && r_.ctx.now >= peer.since + seconds(1);
}

bool Membership::promotion_commanded() const { return r_.admin.wants_promotion() || r_.admin.create_as_primary(); }
bool Membership::promotion_wished() const { return promotion_commanded() || caretaker_wish_; }

// Asked after every step: the votes are counted only where there is something to vote on.
bool Membership::wants_round() const {
  if (round_ || adopting_ || r_.ctx.now < next_round_at_) return false;
  if (force_wanted()) return true;
  return something_to_decide() && may_decide();
}

bool Membership::something_to_decide() const {
  if (!adopted()) return r_.admin.wants_creation();
  if (undecided_ || rumoured_) return true;
  if (!holds_tenure() && accepted_unsettled() && (r_.admin.wants_promotion() || primary_away())) return true;
  if (holds_tenure()) return confirm_due() || rebase_needed_ || win_over_due() || change_desired(*adopted());
  if (r_.admin.wants_promotion()) return r_.admin.promotion_obstacle() == Reason::none;
  if (caretaker_due() && caretaker_wanted()) return true;
  return is_resync_source() && change_desired(*adopted());
}

void Membership::start_round() {
  if (force_wanted()) return start_force_round();
  round_forcing_ = false;
  next_win_over_at_ = r_.ctx.now + seconds(1);
  highest_counter_ = std::max(highest_counter_, r_.acceptor.record().promised.counter) + 1;
  const Ballot ballot{highest_counter_, r_.self(), r_.ctx.record.start()};
  round_creating_ = !adopted();
  round_.emplace(ballot, round_creating_ ? configured_voters() : adopted()->voters, adopted() ? adopted()->voter_set : 0,
                 round_creating_, adopted() ? adopted()->history : Uuid{});
  round_->allow_half(broken_tie());
  round_started_ = r_.ctx.now;
  round_flush_ = RoundFlush::none;
  round_refused_ = {};
  uint32_t voter_set = adopted() ? adopted()->voter_set : 0;
  for (const auto& other : {rumoured_, undecided_}) {
    if (!other) continue;
    round_->add_electorate(other->voters);
    voter_set = std::max(voter_set, other->voter_set);
  }
  r_.ctx.note(Notice::round_started, kNoSeat, ballot.counter);
  ask_voters(Prepare{ballot, r_.ctx.self_holder(), voter_set, adopted() ? adopted()->history : Uuid{}, false});
}

// Both phases count on answers that may never come; a round that does not decide in time is given up and begun again.
void Membership::fail_round(Duration wait) {
  round_.reset();
  round_flush_ = RoundFlush::none;
  // Two candidates that fail together would fail together again: the seat keeps them apart.
  next_round_at_ = r_.ctx.now + std::max(wait, r_.ctx.config.retry / 4) + milliseconds(13) * r_.self().value;
}

void Membership::prepared() {
  if (round_creating_) {
    bool all = true;
    for (Seat seat : r_.ctx.config.data_nodes | r_.ctx.config.witnesses)
      all = all && (!reachable(seat) || !round_->acceptor_at(seat).is_nil());
    if (!all && r_.ctx.now < round_started_ + kCreationPatience) return;
  }
  const auto value = value_for(round_->found());
  if (!value) return fail_round(r_.ctx.config.retry);
  if (!flushed_for(*value)) return;
  round_->propose(*value);
  if (value != adopted()) undecided_ = value;
  ask_voters(Accept{round_->ballot(), r_.ctx.self_holder(), *value, everybody_is_here()});
}

// Disks that are declared identical must all be named by the tenure that declares it: a node that finds itself unnamed in its first
// tenure does not count its bytes as current.
bool Membership::founders_heard() const {
  for (Seat seat : r_.ctx.config.data_nodes) {
    if (!r_.admin.create_as_primary() && round_->acceptor_at(seat).is_nil()) return false;
  }
  return true;
}

// What to propose, given what the promises showed. A value newer than what this node has adopted may be decided or not: it is
// proposed again as it is, so that its outcome is known before anything depends on it.
std::optional<Tenure> Membership::value_for(const std::optional<Tenure>& found) {
  if (!adopted()) {
    if (!r_.admin.wants_creation()) return std::nullopt;  // the command has ended meanwhile
    if (!found) return founders_heard() ? std::optional<Tenure>(created()) : std::nullopt;
    for (const Voter& voter : found->voters) {
      if (voter.seat == r_.self() && voter.acceptor == r_.ctx.record.acceptor.acceptor) return found;
    }
    obstacle_ = Reason::earlier_life;
    return std::nullopt;
  }
  if (!found || found->history != adopted()->history) {
    obstacle_ = found ? Reason::different_history : Reason::no_quorum;
    return std::nullopt;
  }
  if (found->number > adopted()->number) return found;
  if (*found != *adopted()) {
    obstacle_ = Reason::no_quorum;
    return std::nullopt;
  }
  const bool caretaker = caretaker_wanted() && caretaker_due();
  if (!holds_tenure() && (r_.admin.wants_promotion() || caretaker)) {
    caretaker_wish_ = !r_.admin.wants_promotion();
    const Reason obstacle = r_.admin.promotion_obstacle();
    if (obstacle == Reason::none) return promoted(*found);
  }
  // Only who holds the tenure, or copies to others while nobody does, changes it; anybody may settle it.
  return holds_tenure() || is_resync_source() ? desired(*found) : *found;
}

void Membership::decided(const Tenure& value) {
  r_.ctx.note(Notice::tenure_decided, kNoSeat, value.number);
  round_.reset();
  round_flush_ = RoundFlush::none;
  undecided_.reset();
  rumoured_.reset();
  obstacle_ = Reason::none;
  next_round_at_ = r_.ctx.now;
  rebase_needed_ = false;
  round_forcing_ = false;
  if (adopted() == value) {
    confirm_needed_ = false;
    next_confirm_at_ = r_.ctx.now + r_.ctx.config.retry;
    return;
  }
  adopt(value);
}

void Membership::promotion_begins() {
  next_fence_.fill(r_.ctx.now);
  lease_seen_until_.reset();
}

// What a voter that keeps its word to another tells besides. Only for people: what it accepted last need not be decided.
Reason Membership::lease_obstacle(const VoteRefused& refusal) {
  const auto& theirs = refusal.tenure;
  const bool later = theirs && adopted() && theirs->history == adopted()->history && theirs->number > adopted()->number;
  if (later && !theirs->members.contains(r_.self())) return Reason::no_current_copy;
  const Instant end = r_.ctx.now + refusal.wait;
  if (!lease_seen_until_) lease_seen_until_ = end;
  // Only a Primary that lives renews its lease.
  return end > *lease_seen_until_ + r_.ctx.config.lease / 4 ? Reason::peer_is_primary : Reason::lease_running;
}

void Membership::refused(Seat from, const VoteRefused& refusal) {
  heard(from, refusal.who);
  highest_counter_ = std::max(highest_counter_, refusal.promised.counter);
  if (!round_ || refusal.ballot != round_->ballot()) return;
  Duration wait = r_.ctx.config.retry;
  switch (refusal.why) {
    case VoteRefusal::lower_ballot:
    case VoteRefusal::not_my_tenure:
      wait = r_.ctx.config.retry / 4;
      break;
    case VoteRefusal::lease_running:
      obstacle_ = lease_obstacle(refusal);
      wait = refusal.wait + milliseconds(2);
      break;
    case VoteRefusal::just_started:
      obstacle_ = Reason::voters_starting;
      wait = refusal.wait + milliseconds(2);
      break;
    case VoteRefusal::later_voter_set: {
      if (!refusal.tenure) break;  // it says nothing
      bool names_me = false;
      for (const Voter& voter : refusal.tenure->voters)
        names_me = names_me || (voter.seat == r_.self() && voter.acceptor == r_.ctx.record.acceptor.acceptor);
      const bool of_use = adopted()
                              ? refusal.tenure->history == adopted()->history && refusal.tenure->voter_set > adopted()->voter_set
                              : names_me;
      if (of_use) {
        rumoured_ = refusal.tenure;
      } else if (!adopted()) {
        obstacle_ = Reason::earlier_life;
      }
      break;
    }
    case VoteRefusal::storage_failed:
      break;
    case VoteRefusal::other_history:
      obstacle_ = Reason::different_history;
      if (from != r_.self()) r_.peer(from).elsewhere = r_.ctx.now;
      break;
  }
  if (round_forcing_) return force_refused(from, refusal, wait);
  // Whether this voter knows the resource from an earlier life is not said yet, and must not be outvoted.
  const bool reticent = refusal.why == VoteRefusal::lower_ballot || refusal.why == VoteRefusal::just_started ||
                        refusal.why == VoteRefusal::lease_running;
  if (round_creating_ && reticent) return fail_round(std::min(wait, milliseconds(500)));
  round_refused_.insert(from);
  if (!can_still_decide()) fail_round(std::min(wait, milliseconds(500)));
}

bool Membership::can_still_decide() const {
  const Voters voters = round_creating_ ? configured_voters() : adopted()->voters;
  uint32_t possible = 0;
  for (const Voter& voter : voters) possible += reachable(voter.seat) && !round_refused_.contains(voter.seat) ? 1 : 0;
  // A creation gives up at once when a voter knows the resource from before: its word must not be outvoted.
  if (round_creating_ && obstacle_ == Reason::earlier_life) return false;
  return 2 * possible > voters.size() || (2 * possible == voters.size() && !broken_tie().empty());
}

}  // namespace lockstep
