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

// A Primary outside of the set has given its copy up, whatever became of the command that wanted that: only a node that is not Primary is
// taken back.
void Admin::give_up_a_copy_outside() {
  const auto& tenure = r_.membership.adopted();
  const bool outside = r_.membership.serves_clients() && !r_.membership.adopting() && !tenure->members.contains(r_.self());
  if (outside && r_.disk_usable) r_.stop_using_disk();
}

void Admin::pump_detach() {
  if (r_.disk_released()) return finish(true);
  const bool late = r_.ctx.now >= deadline_;
  const Reason obstacle = why_not_detached();
  if (r_.disk_usable) {
    if (obstacle != Reason::none && (late || !r_.membership.changing())) return finish(false, obstacle);
    // An extent that stays set would be copied when the disk comes back.
    if (!r_.membership.holds_tenure()) r_.secondary.cool(Secondary::Heat::is_over);
    if (obstacle != Reason::none || !leaves_the_set()) {
      if (late) finish(false, r_.membership.may_decide() ? Reason::timed_out : Reason::no_quorum);
      return;
    }
    r_.stop_using_disk();
  }
  // What is marked from here on is covered by the extents that stay set on the disk.
  if (!std::exchange(asked_, true)) r_.dirty.pump();
  const bool quiet = r_.disk.in_flight() == 0 && r_.metadata_quiet() && !r_.membership.adopting();
  const bool recorded = r_.records.failed() || (r_.records.idle() && r_.intents.idle());
  if (quiet && recorded && obstacle == Reason::none) {
    r_.let_go_of_disk();
    return finish(true);
  }
  if (late) finish(false, obstacle != Reason::none ? obstacle : Reason::io_pending);
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
