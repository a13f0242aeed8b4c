// Operators' commands: one at a time, those aside that are done at once. Each ends in exactly one AdminReply.
#pragma once

#include <algorithm>

#include <optional>

#include "base/time.h"
#include "core/event.h"
#include "core/node_change.h"
#include "core/promotion.h"
#include "core/reason.h"

namespace lockstep {

class ReplicaImpl;

class Admin {
 public:
  explicit Admin(ReplicaImpl& replica) : r_(replica), nodes_(replica) {}

  void request(const AdminRequest& request);
  void pump();  // progress of the running command
  Instant next_deadline() const;

  bool wants_promotion() const { return running(AdminOp::primary) || (forced() && !new_history_); }
  // primary --force, and this history has no way to it: another one begins (membership/forcing.cc).
  bool wants_new_history() const { return forced() && new_history_; }
  const Uuid& left_history() const { return left_; }
  // The operator takes this copy as it is.
  bool forced() const { return forced_; }
  bool wants_demotion() const { return demoting_ready_; }
  bool wants_creation() const { return creating_; }
  // What is being created: all that the disks have room for, or of one volume what was asked for, but no more than that.
  VolumeShapes volumes_to_create() const;
  // The volume is to have so many bytes; zero: what it has.
  uint64_t wants_size() const { return running(AdminOp::resize) || running(AdminOp::shrink) ? resizing_to_ : 0; }
  // The volume is to end there: nobody is served beyond it from now on.
  uint64_t shrinks_to() const { return running(AdminOp::shrink) ? resizing_to_ : UINT64_MAX; }
  bool assumes_clean() const { return current_ && current_->assume_clean; }
  bool create_as_primary() const { return current_ && current_->op == AdminOp::primary_force; }
  const Uuid& fresh() const { return current_->fresh; }
  // An operator paused resyncs with this peer, until the other word or the end of this run.
  bool paused(Seat peer) const { return paused_.contains(peer); }
  bool wants_dropped(Seat peer) const { return drop_.contains(peer) || nodes_.leaving(peer); }
  NodeChange& nodes() { return nodes_; }
  const NodeChange& nodes() const { return nodes_; }
  void drop_requested(Seat peer) { drop_.insert(peer); }
  void drop_done(Seat peer) { drop_.erase(peer); }
  // It belongs to the configuration no more.
  void forget(Seat peer) {
    drop_.erase(peer);
    paused_.erase(peer);
  }
  // A fence handler says that the peer is Primary (6): a promotion that runs is over.
  void peer_found_primary();
  // A handler ended: what it brought gets its time, however long it took.
  void fence_ended();
  bool occupied() const { return current_.has_value() || stopped_; }
  bool stopping() const { return stopped_; }
  bool gone() const { return gone_; }
  // Why this node could not be promoted now; none if it could.
  Reason promotion_obstacle() const;

 private:
  bool running(AdminOp op) const { return current_ && current_->op == op; }
  void finish(bool ok, Reason reason = Reason::none);
  void pump_primary();
  bool gives_way(Seat holder);
  void pump_force();
  bool better_copy_is_connected() const;
  void pump_recording();
  void pump_given_up();
  void pump_discard();
  void discard_again();
  void pump_founding();
  void pump_secondary();
  void hand_over();
  Instant stop_deadline() const;
  void pump_creation();
  void finish_when_durable(Seat reconnect);
  void pump_invalidate();
  Seat who_can_drop_this_copy() const;
  void pump_invalidate_remote();
  void pump_stop();
  void pump_suspend_io();
  uint64_t room_everywhere() const;
  Reason choose_size(uint64_t volume);
  void pump_resize();
  void pump_change_nodes();
  Reason why_not_detached() const;
  bool leaves_the_set();
  void give_up_a_copy_outside();
  void pump_detach();
  void pump_outdate();
  std::optional<Reason> done_at_once(const AdminRequest& request);
  void answer(const AdminRequest& request, bool ok, Reason reason);
  void pause(Seat peer, bool on);
  Reason creation_obstacle() const;
  bool awaits_voters() const;
  Reason why_not_created() const;
  PromotionFacts promotion_facts() const;

  ReplicaImpl& r_;
  NodeChange nodes_;
  std::optional<AdminRequest> current_;
  Instant since_;
  Instant deadline_ = kNever;
  bool demoting_ready_ = false;
  bool creating_ = false;
  bool forced_ = false;
  bool new_history_ = false;
  Uuid left_;  // by a command that begins another history
  bool asked_ = false;
  uint64_t resizing_to_ = 0;
  bool was_suspended_ = false;
  bool recording_ = false;  // the answer waits for a durable record
  bool given_up_ = false;   // invalidate-remote: the peer is out of the set, and nothing is left of what was known of its copy
  bool stopped_ = false;
  bool gone_ = false;  // `stop` was answered: no effect may follow
  SeatSet drop_;       // who is to leave the set
  SeatSet paused_;
  Seat asked_whom_ = kNoSeat;
};

}  // namespace lockstep
