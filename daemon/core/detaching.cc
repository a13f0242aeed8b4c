// detach and outdate: this copy gives up its part, because an operator or a handler says so.
#include "core/admin.h"
#include "core/replica_impl.h"

namespace lockstep {

// A Primary, here or connected, must be able to go on: with another copy, and without the vote that lies on this disk. Where nobody is known
// to be Primary this is no more than `down` takes away.
Reason Admin::why_not_detached() const {
  const auto& tenure = r_.membership.adopted();
  if (!tenure || !tenure->primary) return Reason::none;
  if (!r_.membership.holds_tenure() && !r_.peer(tenure->primary->node).met) return Reason::none;
  if (r_.disk_usable && tenure->members.contains(r_.self()) && !r_.another_copy()) return Reason::last_copy;
  return !r_.acceptor.failed() && r_.membership.needs_own_vote() ? Reason::needs_own_vote : Reason::none;
}

// The Primary goes on without this copy before it is gone, so that nothing waits for it. True: it does, or there is none.
bool Admin::leaves_the_set() {
  const auto& tenure = r_.membership.adopted();
  if (!tenure || !tenure->primary || r_.membership.adopting()) return !r_.membership.adopting();
  if (!tenure->members.contains(r_.self())) return true;
  const Seat primary = tenure->primary->node;
  if (r_.membership.holds_tenure()) {
    if (r_.membership.serves_clients()) drop_.insert(r_.self());
    return false;
  }
  if (!r_.peer(primary).met) return true;
  if (asked_whom_ != primary) r_.send(primary, DropMe{r_.membership.stamp()});
  asked_whom_ = primary;
  return false;
}

void Admin::pump_detach() {
  if (r_.disk_released()) return finish(true);
  const bool late = r_.ctx.now >= deadline_;
  if (const Reason obstacle = why_not_detached(); obstacle != Reason::none) return finish(false, obstacle);
  if (r_.disk_usable) {
    // An extent that stays set would be copied when the disk comes back.
    if (!std::exchange(asked_, true) && !r_.membership.holds_tenure()) r_.secondary.cool(Secondary::Heat::is_over);
    if (!leaves_the_set()) {
      if (late) finish(false, r_.membership.may_decide() ? Reason::timed_out : Reason::no_quorum);
      return;
    }
    r_.stop_using_disk();
  }
  const bool quiet = r_.disk.in_flight() == 0 && r_.ctx.metadata.empty() && !r_.membership.adopting();
  const bool recorded = r_.records.failed() || (r_.records.idle() && r_.intents.idle() && r_.dirty.idle());
  if (quiet && recorded) {
    r_.let_go_of_disk();
    return finish(true);
  }
  if (late) finish(false, Reason::io_pending);
}

// What a fence handler on the other side has done here, before it lets that one go on (exit status 4). A round that was begun with a fence is
// awaited: it may make this node Primary, or nothing.
void Admin::pump_outdate() {
  const NodeRecord& record = r_.ctx.record;
  if (!r_.disk_usable) return finish(false, Reason::no_disk);
  if (!record.adopted) return finish(false, Reason::never_used);
  if (record.inconsistent) return finish(false, Reason::copy_inconsistent);
  if (r_.membership.holds_tenure()) return finish(false, Reason::outdate_primary);
  for (Seat seat : r_.data_peers()) {
    if (r_.peer(seat).introduced) return finish(false, Reason::outdate_connected);
  }
  if (!std::exchange(asked_, true)) r_.membership.declare_outdated();
  if (r_.membership.round_running() || r_.membership.adopting()) {
    if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);
    return;
  }
  finish_when_durable(kNoSeat);
}

}  // namespace lockstep
