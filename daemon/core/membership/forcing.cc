// primary --force where this history gives no quorum, or no current copy: a new history begins with this copy alone. Its parent is named in the
// tenure. The voters that can be reached follow, all of them, unless one keeps its word to another node: then somebody may be Primary. A
// voter that followed never votes in the parent again. Those that are away are seated later, one by one, when it is known that no data
// node is left in another history (goals.cc). Two histories that meet do not mix (split_brain.h).
#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

bool Membership::force_wanted() const { return r_.admin.wants_new_history() && adopted()->history == r_.admin.left_history(); }

// One a round: of what an earlier round of this command proposed nobody can tell whether it was decided, and nobody needs to.
Uuid Membership::forced_history() const {
  Uuid history = r_.admin.fresh();
  for (size_t i = 0; i < 8; ++i)
    history.bytes[4 + i] = static_cast<uint8_t>(history.bytes[4 + i] ^ (round_->ballot().counter >> (8 * i)));
  return history;
}

// Who can be reached now, and as which acceptor.
Voters Membership::voters_to_move() const {
  Voters voters;
  for (Seat seat : r_.ctx.config.data_nodes | r_.ctx.config.witnesses) {
    if (!reachable(seat) || force_without_.contains(seat)) continue;
    const Uuid& acceptor = seat == r_.self() ? r_.ctx.record.acceptor.acceptor : r_.peer(seat).seen_acceptor;
    if (!acceptor.is_nil()) voters.push_back({seat, acceptor});
  }
  return voters;
}

void Membership::start_force_round() {
  highest_counter_ = std::max(highest_counter_, r_.acceptor.record().promised.counter) + 1;
  const Ballot ballot{highest_counter_, r_.self(), r_.ctx.record.start()};
  const Tenure& old = *adopted();
  round_creating_ = false;
  round_forcing_ = true;
  round_.emplace(ballot, voters_to_move(), old.voter_set, false, old.history);
  round_->ask_only_them();
  round_started_ = r_.ctx.now;
  round_flush_ = RoundFlush::none;
  round_refused_ = {};
  r_.ctx.note(Notice::round_started, kNoSeat, ballot.counter);
  ask_voters(Prepare{ballot, r_.ctx.self_holder(), old.voter_set, old.history, true});
}

// Not one of them may be left behind: it could still vote in the parent, and elect somebody there.
std::optional<Tenure> Membership::forced() const {
  if (!force_wanted() || !round_->unanimous()) return std::nullopt;
  const auto& found = round_->found();
  Tenure next = *adopted();
  next.parent = next.history;
  next.history = forced_history();
  next.number = std::max(next.number, found ? found->number : 0) + 1;
  next.origin = round_->ballot();
  next.primary = r_.ctx.self_holder();
  next.clean = false;
  next.members = SeatSet{r_.self()};
  next.voter_set = std::max(next.voter_set, found ? found->voter_set : 0) + 1;
  // Nodes that are connected belong to the parent with their copies: they follow as voters, so that they elect nobody there, and are seated
  // when their copies have come over.
  next.voters.clear();
  for (const Voter& voter : voters_to_move()) {
    if (voter.seat == r_.self() || voter.seat.is_witness()) next.voters.push_back(voter);
  }
  return next;
}

void Membership::propose_forced() {
  const auto value = forced();
  if (!value) return;
  round_->propose(*value);
  ask_voters(Accept{round_->ballot(), r_.ctx.self_holder(), *value, true});
}

void Membership::force_refused(Seat from, const VoteRefused& refusal, Duration wait) {
  // It will never vote again as that acceptor, in any history.
  if (refusal.why == VoteRefusal::storage_failed) force_without_.insert(from);
  fail_round(std::min(wait, milliseconds(500)));
}

// Every data node is connected, hence in this history: a voter that is in another one (a witness of the parent, or one that a force took
// along which came to nothing) follows with what is proposed to it. It has no part in the promises on which that rests, so that what
// it has forgotten of this history does no harm.
bool Membership::everybody_is_here() const {
  if (!adopted()) return false;
  for (Seat seat : r_.data_peers()) {
    if (!r_.peer(seat).met && !r_.admin.nodes().leaving(seat)) return false;
  }
  return true;
}

// Only what this very run proposed as an operator's command.
bool Membership::begins_my_history(const Tenure& next) const {
  return adopted() && next.history != adopted()->history && next.parent == adopted()->history &&
         next.primary == r_.ctx.self_holder() && next.origin.node == r_.self() && next.origin.start == r_.ctx.record.start();
}

// This copy is the content from here on, whatever it was before. What it may differ in from any other one is marked for that one.
void Membership::apply_new_history(const Tenure& old) {
  r_.target.abort(r_.target.source());
  r_.source.abort_all();
  for (Seat seat : r_.data_peers()) {
    r_.dirty.mark_extents(seat, r_.intents.bits());
    r_.peer(seat).replicating = false;
    r_.write_path.leg_lost(seat);
    if (old.members.contains(seat)) r_.ctx.note(Notice::peer_dropped, seat, r_.dirty.of(seat).count());
  }
  r_.ctx.record.inconsistent = false;
  r_.intents.unpin_all();
  confirm_needed_ = false;
  rebase_needed_ = false;
  undecided_.reset();
  rumoured_.reset();
  lease_.forget();
  next_lease_request_ = kLongAgo;
  for (Seat seat : r_.ctx.config.witnesses) r_.peer(seat).accepts = false;
}

// Peers that were connected belong to the parent: they come back as another history.
void Membership::part_from_peers() {
  for (Seat seat : r_.data_peers()) r_.close_link(seat, Reason::different_history);
}

}  // namespace lockstep
