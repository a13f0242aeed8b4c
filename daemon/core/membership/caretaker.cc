// Caretaking: after an unclean end of the Primary, when every member is back and nobody is promoted, the copies may differ in what was in
// flight. The lowest member that may be promoted then takes the tenure, serves nobody, levels the others as any Primary does, and hands the
// tenure back clean (P9: the copies become identical without help). A command that wants a Primary does not wait for that: here it makes the
// caretaker one, on another node it makes it hand back.
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"

namespace lockstep {

// Whoever was Primary is known to be over: it is here, or was this node, in a later run.
bool Membership::last_primary_is_over() const {
  const auto& last = adopted()->primary;
  if (!last) return true;
  return last->node == r_.self() ? *last != r_.ctx.self_holder() : r_.peer(last->node).met;
}

bool Membership::caretaker_wanted() const {
  if (!adopted() || adopted()->clean || holds_tenure() || adopting_ || r_.admin.occupied() || MUTANT(no_caretaker)) return false;
  if (!last_primary_is_over()) return false;
  for (Seat seat : adopted()->members - SeatSet{r_.self()}) {
    const Peer& peer = r_.peer(seat);
    if (!peer.met) return false;
    const bool able = peer.disk_usable && !peer.inconsistent && (!peer.doubtful || r_.ctx.record.doubtful);
    if (able && seat.value < r_.self().value) return false;
  }
  bool somebody_to_level = false;
  for (Seat seat : r_.data_peers()) somebody_to_level = somebody_to_level || r_.peer(seat).met;
  return somebody_to_level && r_.admin.promotion_obstacle() == Reason::none;
}

bool Membership::caretaker_due() const { return r_.ctx.now >= caretaker_due_at_; }

// Everybody who can be levelled was; or somebody else is to be Primary.
bool Membership::caretaker_done() const {
  if (yield_to_ != kNoSeat && member(yield_to_)) return true;
  for (Seat seat : r_.data_peers()) {
    const Peer& peer = r_.peer(seat);
    if (peer.met && peer.disk_usable && !member(seat)) return false;
  }
  return true;
}

void Membership::pump_caretaker() {
  if (!caretaker_wanted()) {
    caretaker_due_at_ = kNever;
  } else if (caretaker_due_at_ == kNever) {
    caretaker_due_at_ = r_.ctx.now + r_.ctx.config.caretaker_delay;
  }
  // A promotion whose command has ended before the lease was won: its tenure is not left to itself.
  if (role_ == Standing::becoming_primary && !promotion_wished()) caretaker_wish_ = true;
  if (!caretaker_ || hand_back_) return;
  if (promotion_commanded() && serving() && r_.disk_usable) return open_to_clients();
  if (!caretaker_done()) return;
  if (!r_.write_path.everything_settled()) {
    r_.write_path.flush_soon();
  } else if (r_.write_path.quiet()) {
    hand_back_ = true;
  }
}

void Membership::begin_caretaking() {
  caretaker_ = true;
  r_.ctx.note(Notice::caretaker_begins);
  for (Seat seat : r_.data_peers()) tell_caretaking(seat);
}

void Membership::open_to_clients() {
  caretaker_wish_ = false;
  if (std::exchange(caretaker_, false)) {
    for (Seat seat : r_.data_peers()) tell_caretaking(seat);
  }
  r_.ctx.note(Notice::became_primary);
  r_.ctx.emit(RoleChanged{true});
}

void Membership::tell_caretaking(Seat seat) {
  if (r_.peer(seat).met) r_.send(seat, Caretaking{stamp(), caretaker_});
}

void Membership::yield(Seat to) {
  if (caretaker_) yield_to_ = to;
}

// True: it was this node's own affair; no client ever saw a Primary here.
bool Membership::end_caretaking() {
  caretaker_wish_ = hand_back_ = false;
  yield_to_ = kNoSeat;
  if (!std::exchange(caretaker_, false)) return false;
  for (Seat seat : r_.data_peers()) tell_caretaking(seat);
  r_.ctx.note(Notice::caretaker_ends);
  return true;
}

}  // namespace lockstep
