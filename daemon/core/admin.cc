#include "core/admin.h"

#include <algorithm>
#include <utility>

#include "base/mutation.h"
#include "core/replica_impl.h"
#include "core/volumes.h"

namespace lockstep {

namespace {
constexpr Duration kLinkPatience = milliseconds(1500);  // links that come up right after `up` are waited for so long
constexpr Duration kPatience = seconds(15);
constexpr Duration kHopelessPatience = seconds(5);   // of a stop that cannot hand over as things are
constexpr Duration kSignOfLife = milliseconds(300);  // what a Primary that died a moment ago had still sent is in by then
}  // namespace

void Admin::request(const AdminRequest& request) {
  if (const auto refused = done_at_once(request)) return answer(request, *refused == Reason::none, *refused);
  if (current_) {
    r_.ctx.emit(AdminReply{request.id, false, Reason::busy});
    return;
  }
  current_ = request;
  if (request.op == AdminOp::primary || request.op == AdminOp::primary_force) r_.membership.promotion_begins();
  if (request.op == AdminOp::new_current_uuid || request.op == AdminOp::primary_force) r_.membership.creation_begins();
  since_ = r_.ctx.now;
  asked_ = false;
  asked_whom_ = kNoSeat;
  recording_ = false;
  given_up_ = false;
  demoting_ready_ = false;
  creating_ = false;
  resizing_to_ = 0;
  if (request.op == AdminOp::change_nodes) nodes_.begin(request.nodes);
  if (request.op == AdminOp::stop || request.op == AdminOp::detach) r_.secondary.ends();
  forced_ = request.op == AdminOp::primary_force && r_.ctx.record.adopted;
  new_history_ = false;
  deadline_ = r_.ctx.now + (request.op == AdminOp::primary ? r_.ctx.config.promote_patience : kPatience);
  pump();
}

void Admin::answer(const AdminRequest& request, bool ok, Reason reason) {
  const bool told = ok ? request.op == AdminOp::stop || reason == Reason::different_history : !MUTANT(refusal_without_reason);
  r_.ctx.emit(AdminReply{request.id, ok, told ? reason : Reason::none});
}

void Admin::finish(bool ok, Reason reason) {
  answer(*current_, ok, reason);
  if (running(AdminOp::change_nodes)) nodes_.end();
  if (running(AdminOp::detach)) drop_.erase(r_.self());
  current_.reset();
  demoting_ready_ = false;
  creating_ = false;
  recording_ = false;
  forced_ = new_history_ = false;
  deadline_ = kNever;
}

void Admin::pump() {
  give_up_a_copy_outside();
  if (!current_) return;
  if (recording_) return pump_recording();
  switch (current_->op) {
    case AdminOp::primary:
      return pump_primary();
    case AdminOp::primary_force:
      return pump_force();
    case AdminOp::secondary:
      return pump_secondary();
    case AdminOp::new_current_uuid:
      return pump_creation();
    case AdminOp::invalidate:
      return pump_invalidate();
    case AdminOp::invalidate_remote:
      return pump_invalidate_remote();
    case AdminOp::discard_history:
      return pump_discard();
    case AdminOp::stop:
      return pump_stop();
    case AdminOp::suspend_io:
      return pump_suspend_io();
    case AdminOp::resize:
    case AdminOp::shrink:
      return pump_resize();
    case AdminOp::change_nodes:
      return pump_change_nodes();
    case AdminOp::detach:
      return pump_detach();
    case AdminOp::outdate:
      return pump_outdate();
    case AdminOp::pause_sync:
    case AdminOp::resume_sync:
    case AdminOp::verify:
    case AdminOp::verify_stop:
    case AdminOp::repair:
    case AdminOp::allow_resync:
    case AdminOp::resume_io:
      UNREACHABLE("a command that is done at once");
  }
}

// What is done at once, whatever other command is running. Nothing: it is none of these.
std::optional<Reason> Admin::done_at_once(const AdminRequest& request) {
  switch (request.op) {
    case AdminOp::pause_sync:
    case AdminOp::resume_sync:
      pause(request.peer, request.op == AdminOp::pause_sync);
      return Reason::none;
    case AdminOp::verify:
      return r_.verifier.start(request.peer, request.range);
    case AdminOp::verify_stop:
      r_.verifier.stop(request.peer);
      return Reason::none;
    case AdminOp::repair:
      return r_.verifier.repair(request.peer);
    case AdminOp::allow_resync:
      r_.target.allow(request.episode);
      return Reason::none;
    case AdminOp::resume_io:
      r_.write_path.resume();
      return Reason::none;
    case AdminOp::primary:
    case AdminOp::primary_force:
    case AdminOp::secondary:
    case AdminOp::new_current_uuid:
    case AdminOp::invalidate:
    case AdminOp::invalidate_remote:
    case AdminOp::discard_history:
    case AdminOp::stop:
    case AdminOp::suspend_io:
    case AdminOp::resize:
    case AdminOp::shrink:
    case AdminOp::change_nodes:
    case AdminOp::detach:
    case AdminOp::outdate:
      return std::nullopt;
  }
  UNREACHABLE("a command");
}

// Told to the peers as soon as they are there (ReplicaImpl::tell_paused).
void Admin::pause(Seat peer, bool on) {
  for (Seat seat : r_.data_peers()) {
    const bool is_so = paused_.contains(seat) == on && (on || !r_.target.held());
    if ((peer != kNoSeat && peer != seat) || is_so) continue;
    if (on) {
      paused_.insert(seat);
    } else {
      paused_.erase(seat);
      r_.target.allow();  // whatever the handler said
    }
    r_.ctx.note(on ? Notice::resync_paused : Notice::resync_resumed, seat);
  }
}

Instant Admin::next_deadline() const {
  if (!current_) return kNever;
  if ((running(AdminOp::primary) || forced_) && r_.membership.fence_running()) return kNever;  // its end is an event
  // What has passed already is waited for no more: what is still missing then is an event.
  Instant due = kNever;
  for (Instant end : {running(AdminOp::stop) && r_.membership.holds_tenure() ? stop_deadline() : deadline_, deadline_,
                      since_ + kLinkPatience, since_ + (deadline_ - since_) / 2}) {
    if (end > r_.ctx.now) due = std::min(due, end);
  }
  return due;
}

PromotionFacts Admin::promotion_facts() const {
  const NodeRecord& record = r_.ctx.record;
  PromotionFacts facts;
  facts.memory_is_older = record.memory.superseded;
  facts.disk_usable = r_.disk_usable;
  facts.used = record.adopted.has_value();
  facts.inconsistent = record.inconsistent;
  facts.may_decide = r_.membership.may_decide();
  facts.was_left = r_.split_brain.left_behind() && !forced_;
  if (!facts.used) return facts;
  const Tenure& tenure = *record.adopted;
  facts.lost_its_cache = r_.membership.doubt_forbids();
  facts.lacks_room = !room_for(tenure.volumes, volumes_of(record));
  facts.member = tenure.members.contains(r_.self()) || MUTANT(promoted_outside_set);
  if (!tenure.primary || tenure.primary->node == r_.self()) return facts;
  const Peer& peer = r_.peer(tenure.primary->node);
  // The very run of the daemon that holds the tenure is connected: it is Primary, and alive.
  facts.primary_is_met = peer.met && peer.hello->boot == tenure.primary->boot && peer.hello->start == tenure.primary->start;
  return facts;
}

// Of two voters one may decide alone when the other was fenced; not if this copy is Outdated.
Reason Admin::promotion_obstacle() const {
  const Reason obstacle = lockstep::promotion_obstacle(promotion_facts());
  const bool alone = obstacle == Reason::no_quorum && r_.membership.adopted()->voters.size() == 2;
  return alone && r_.ctx.record.outdated ? Reason::copy_outdated : obstacle;
}

void Admin::pump_primary() {
  if (r_.membership.serves_clients()) return finish(true);
  if (r_.membership.caretaking() && !r_.disk_usable) return finish(false, Reason::no_disk);
  const Reason obstacle = promotion_obstacle();
  // Also of a caretaker, which holds the tenure already: it goes on levelling, and serves nobody (seed 325316097744).
  if (obstacle == Reason::different_history && r_.membership.caretaking()) return finish(false, obstacle);
  const bool too_few = obstacle == Reason::no_quorum || obstacle == Reason::copy_outdated;
  bool may_pass = obstacle == Reason::none || too_few;
  // A later tenure may have been decided in which this copy counts: a round will tell.
  if (r_.membership.accepted_unsettled() && r_.membership.may_decide()) may_pass = true;
  // A Primary that lives asks for its lease again and again. One that was killed or hangs is silent, and its link will end.
  if (obstacle == Reason::peer_is_primary) may_pass = gives_way(r_.membership.adopted()->primary->node);
  if (!may_pass && !r_.membership.holds_tenure() && !r_.membership.adopting()) return finish(false, obstacle);
  if (r_.membership.fence_running()) return;  // its result may change the answer
  const bool elsewhere =
      r_.membership.last_obstacle() == Reason::different_history;  // voters that answer, but not for this history
  if (too_few && r_.ctx.now >= since_ + kLinkPatience) return finish(false, elsewhere ? Reason::different_history : obstacle);
  if (r_.ctx.now < deadline_) return;
  const Reason last = obstacle != Reason::none ? obstacle : r_.membership.last_obstacle();
  finish(false, last == Reason::none ? Reason::timed_out : last);
}

// A Primary that died has not been heard since; a caretaker hands back when it is asked to.
bool Admin::gives_way(Seat holder) {
  if (!r_.peer(holder).caretaker) return r_.peer(holder).heard < since_ + kSignOfLife;
  if (!std::exchange(asked_, true)) r_.send(holder, YieldRequest{r_.membership.stamp()});
  return true;
}

void Admin::fence_ended() {
  if (running(AdminOp::primary) || forced_) deadline_ = std::max(deadline_, r_.ctx.now + r_.ctx.config.promote_patience);
}

void Admin::peer_found_primary() {
  if (running(AdminOp::primary)) finish(false, Reason::peer_is_primary);
}

// Requests end first, then a flush settles what was written; the tenure that says so comes last.
void Admin::hand_over() {
  if (r_.write_path.client_ops() > 0) return;
  if (!r_.write_path.everything_settled()) return r_.write_path.flush_soon();
  if (!r_.write_path.quiet()) return;
  // Peers that follow are brought level, and are in the set that is handed over. One that takes too long is not: it is resynced afterwards.
  const Duration patience = (deadline_ - since_) / 2;
  if (r_.feed.all_level() || MUTANT(follower_taken_in_behind) || r_.ctx.now >= since_ + patience || !r_.membership.may_decide()) {
    demoting_ready_ = true;
  } else {
    r_.feed.flush_soon();
  }
}

void Admin::pump_secondary() {
  if (!r_.membership.holds_tenure()) return finish(true);
  if (r_.write_path.suspended()) return finish(false, Reason::io_suspended);
  hand_over();
  if (r_.ctx.now >= deadline_) finish(false, r_.membership.serving() ? Reason::io_pending : Reason::no_quorum);
}

// What an operator then does with the disks beneath (a snapshot, say) finds them equal, and the same as what clients were told.
void Admin::pump_suspend_io() {
  if (!r_.membership.serves_clients()) return finish(false, Reason::not_primary);
  if (!std::exchange(asked_, true)) {
    was_suspended_ = r_.write_path.suspended();
    r_.write_path.suspend();
  }
  if (!r_.write_path.suspended()) return finish(false, Reason::operator_request);  // resume-io came in between
  // Also what writes without a client: a heal, or a request whose client was answered with an error.
  if (r_.write_path.requests_under_way() == 0 && r_.membership.serving()) {
    if (!r_.write_path.everything_settled()) {
      r_.write_path.flush_soon();
    } else if (r_.write_path.quiet()) {
      return finish(true);
    }
  }
  if (r_.ctx.now < deadline_) return;
  if (!was_suspended_) r_.write_path.resume();
  finish(false, r_.membership.serving() ? Reason::io_pending : Reason::no_quorum);
}

// What was given up already when it ends for want of votes comes back by itself: the configuration still names it.
void Admin::pump_change_nodes() {
  if (const auto end = nodes_.pump()) return finish(*end == Reason::none, *end);
  if (r_.ctx.now < deadline_) return;
  const bool can = !r_.membership.holds_tenure() || (r_.membership.serving() && !nodes_.waits_for_a_vote());
  finish(false, can ? Reason::timed_out : Reason::no_quorum);
}

VolumeShapes Admin::volumes_to_create() const {
  VolumeShapes volumes = volumes_of(r_.ctx.record);
  if (current_ && current_->range.length > 0) {
    const uint64_t whole_blocks = current_->range.length - current_->range.length % kBlockBytes;
    volumes[0].size_bytes = std::min(whole_blocks, volumes[0].size_bytes);
  }
  return volumes;
}

Reason Admin::creation_obstacle() const {
  if (r_.ctx.record.adopted) return Reason::already_used;
  if (!r_.disk_usable) return Reason::no_disk;
  if (current_->range.length > 0 && r_.ctx.record.volumes.size() > 1) return Reason::several_volumes;
  if (r_.ctx.record.inconsistent) return Reason::already_used;  // its history was given up
  for (Seat seat : r_.data_peers()) {
    const Peer& peer = r_.peer(seat);
    if (!peer.met) return Reason::need_all_data_nodes;
    if (peer.inconsistent || peer.hello->tenure || !peer.disk_usable) return Reason::already_used;
  }
  return Reason::none;
}

void Admin::pump_creation() {
  if (creating_ && r_.ctx.record.adopted) {
    // Every data node has to have adopted it: only then are both UpToDate.
    for (Seat seat : r_.data_peers()) {
      if (r_.peer(seat).met && r_.peer(seat).adopted != r_.membership.stamp() && r_.ctx.now < deadline_) return;
    }
    return finish(true);
  }
  const Reason obstacle = creating_ ? Reason::none : creation_obstacle();
  if (obstacle == Reason::need_all_data_nodes && r_.ctx.now < since_ + kLinkPatience) return;
  if (obstacle != Reason::none) return finish(false, obstacle);
  if (awaits_voters()) return;
  creating_ = true;
  if (r_.membership.last_obstacle() == Reason::earlier_life) return finish(false, Reason::earlier_life);
  if (r_.ctx.now >= deadline_) finish(false, why_not_created());
}

// Whose link may come up in a moment, and who may know an earlier life of the resource.
bool Admin::awaits_voters() const {
  if (creating_ || r_.ctx.now >= since_ + kLinkPatience) return false;
  const SeatSet voters = r_.ctx.config.data_nodes | r_.ctx.config.witnesses;
  return r_.membership.votes_answering() < static_cast<uint32_t>(voters.size());
}

Reason Admin::why_not_created() const {
  const Reason last = r_.membership.last_obstacle();
  const bool too_few = r_.membership.votes_answering() < r_.membership.votes_needed();
  return too_few || last == Reason::none ? Reason::no_quorum : last;
}

// One that is connected and has what this one lacks: an operator who forces wants the data, and does not know where it is.
bool Admin::better_copy_is_connected() const {
  const NodeRecord& record = r_.ctx.record;
  const bool whole = record.adopted->members.contains(r_.self()) && !record.inconsistent && !record.doubtful;
  for (Seat seat : record.adopted->members - SeatSet{r_.self()}) {
    if (!whole && r_.good_copy(seat)) return true;
  }
  return false;
}

// Within the history where that is possible: then nothing is lost that was flushed. Otherwise a new history begins.
void Admin::pump_force() {
  if (r_.membership.serves_clients() && r_.membership.serving() && r_.membership.may_decide())
    return finish(true, new_history_ && r_.ctx.record.adopted->history != left_ ? Reason::different_history : Reason::none);
  if (r_.membership.caretaking() && r_.membership.may_decide()) return pump_primary();
  if (!r_.ctx.record.adopted || creating_) return pump_founding();
  if (new_history_) {
    if (!r_.disk_usable) return finish(false, Reason::no_disk);
    if (r_.ctx.now < deadline_) return;
    const Reason last = r_.membership.last_obstacle();
    return finish(false, last == Reason::none ? Reason::timed_out : last);
  }
  const Reason obstacle = promotion_obstacle();
  // Voters that answer may be in a history that a force began and did not finish.
  const bool voters_elsewhere = obstacle == Reason::none && r_.membership.last_obstacle() == Reason::different_history;
  const Reason last = r_.membership.last_obstacle();
  const bool somebody_lives =
      obstacle == Reason::peer_is_primary || last == Reason::peer_is_primary || last == Reason::lease_running;
  const bool tried_in_vain = obstacle == Reason::none && r_.ctx.now >= deadline_ && !somebody_lives;
  const bool hopeless = voters_elsewhere || tried_in_vain || obstacle == Reason::no_quorum || obstacle == Reason::copy_outdated ||
                        obstacle == Reason::copy_inconsistent || obstacle == Reason::no_current_copy ||
                        obstacle == Reason::copy_doubtful;
  if (!hopeless) {
    if (!r_.membership.serves_clients()) return pump_primary();
    if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);  // a Primary that wins its lease back
    return;
  }
  if (r_.membership.adopting() && r_.ctx.now >= deadline_) return finish(false, Reason::timed_out);
  if (r_.membership.adopting() || r_.membership.fence_running() || r_.ctx.now < since_ + kLinkPatience) return;
  if (better_copy_is_connected()) return finish(false, Reason::better_copy);
  new_history_ = true;
  left_ = r_.ctx.record.adopted->history;
  deadline_ = r_.ctx.now + r_.ctx.config.promote_patience;
}

// A resource that was never used: its first history begins with this disk's content.
void Admin::pump_founding() {
  if (creating_ && r_.ctx.record.adopted) {
    if (r_.membership.serves_clients()) return finish(true);
    if (r_.ctx.record.adopted->primary != r_.ctx.self_holder()) return finish(false, Reason::peer_is_primary);
    if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);
    return;
  }
  if (!r_.disk_usable) return finish(false, Reason::no_disk);
  if (current_->range.length > 0 && r_.ctx.record.volumes.size() > 1) return finish(false, Reason::several_volumes);
  if (awaits_voters()) return;
  creating_ = true;
  if (r_.membership.last_obstacle() == Reason::earlier_life) return finish(false, Reason::earlier_life);
  const bool too_few = r_.membership.votes_answering() < r_.membership.votes_needed();
  if (too_few && r_.ctx.now >= since_ + kLinkPatience) return finish(false, Reason::no_quorum);
  if (r_.ctx.now >= deadline_) finish(false, why_not_created());
}

// Split brain, and this side's data is given up: the record says that it belongs to no history. The bitmaps stay, and with them the proof
// of what differs; so does the content, which counts for nothing until it was levelled. Its voter is another one from here on: of the
// history that it goes back to, the old one has forgotten what it had accepted. Unless that force had taken it along: then it votes there
// already. To be followed by a new start.
void Admin::pump_discard() {
  const Seat peer = current_->peer;
  NodeRecord& record = r_.ctx.record;
  if (!record.adopted) return discard_again();
  if (r_.membership.serving()) return finish(false, Reason::invalidate_primary);
  if (!r_.disk_usable) return finish(false, Reason::no_disk);
  if (r_.membership.adopting()) {
    if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);
    return;
  }
  if (!r_.data_peers().contains(peer) || r_.peer(peer).refused != Reason::different_history)
    return finish(false, Reason::no_split_brain);
  // The other history may have a larger volume than this one had: of what lies beyond, nothing is known.
  const uint64_t had = span_of(*record.adopted);
  if (had < record.size_bytes) {
    r_.dirty.cover(blocks_of(record.size_bytes));
    for (Seat seat : r_.data_peers()) {
      if (r_.dirty.durable(seat, {had, record.size_bytes - had})) continue;
      r_.dirty.pump();
      if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);
      return;
    }
  }
  // A lease that its voter has granted is no obstacle: the voter answers nobody any more, and after the start it, or the one that comes in
  // its place, is silent for the longest lease that was ever granted.
  r_.membership.resign();
  r_.membership.forget_history();
  for (Seat seat : r_.data_peers() | r_.ctx.config.witnesses) r_.close_link(seat, Reason::operator_request, true);
  r_.acceptor.storage_failed();  // in this run it answers nobody any more
  record.given_up = record.adopted->history;
  record.adopted.reset();
  record.inconsistent = true;
  record.doubtful = false;
  const auto& vote = record.acceptor.tenure;
  if (!vote || vote->history != r_.split_brain.history_met(peer))
    record.acceptor = {current_->fresh, {}, {}, std::nullopt, record.acceptor.longest_lease};
  finish_when_durable(kNoSeat);
}

// Its data is given up already. In favour of that very peer now, whose history it had left?
void Admin::discard_again() {
  NodeRecord& record = r_.ctx.record;
  if (!record.inconsistent) return finish(false, Reason::no_split_brain);  // it is new
  const Seat peer = current_->peer;
  const bool known = r_.data_peers().contains(peer) && !record.given_up.is_nil();
  if (!known || r_.split_brain.history_met(peer) != record.given_up) return finish(true);
  record.given_up = {};
  finish_when_durable(kNoSeat);
}

// The operator is told only what a crash can no longer undo. A resync that ran on the old ground begins again after the next meeting.
void Admin::finish_when_durable(Seat reconnect) {
  recording_ = true;
  r_.records.changed([this, reconnect, id = current_->id] {
    if (reconnect != kNoSeat) r_.close_link(reconnect, Reason::operator_request);
    if (current_ && current_->id == id) finish(true);
  });
}

// It ends well when the record is durable (finish_when_durable), which may never be.
void Admin::pump_recording() {
  if (r_.records.failed()) return finish(false, Reason::metadata_failed);
  if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);
}

// Who changes the set. None: no other copy is good.
Seat Admin::who_can_drop_this_copy() const {
  const Tenure& tenure = *r_.membership.adopted();
  const Seat other = r_.membership.leader_without_primary({r_.self()});
  return tenure.primary && other != kNoSeat ? tenure.primary->node : other;
}

// This copy leaves the set, forgets that it was good, and is copied anew.
void Admin::pump_invalidate() {
  const auto& tenure = r_.membership.adopted();
  if (!tenure) return finish(false, Reason::never_used);
  if (r_.membership.caretaking() && r_.ctx.now < deadline_) return r_.membership.yield(r_.self());
  if (r_.membership.holds_tenure()) return finish(false, Reason::invalidate_primary);
  if (!r_.disk_usable) return finish(false, Reason::no_disk);
  const Seat other = who_can_drop_this_copy();
  if (other == kNoSeat) return finish(false, Reason::not_a_target);
  if (!r_.peer(other).met) return finish(false, Reason::peer_not_connected);
  if (!tenure->members.contains(r_.self())) {
    // Forgetting whose copy this was levelled with makes the next resync a full one, whatever the bitmaps on disk say by then.
    for (Seat seat : r_.data_peers()) {
      r_.dirty.mark_all(seat);
      r_.ctx.record.peers[seat.value].disk = {};
    }
    r_.ctx.record.inconsistent = true;
    r_.target.abort(r_.target.source());
    return finish_when_durable(other);
  }
  if (asked_whom_ != other) {
    asked_whom_ = other;
    r_.send(other, DropMe{r_.membership.stamp()});
  }
  if (r_.ctx.now >= deadline_) finish(false, Reason::timed_out);
}

void Admin::pump_invalidate_remote() {
  if (r_.ctx.now >= deadline_) {
    drop_.erase(current_->peer);
    return finish(false, given_up_ ? Reason::timed_out : Reason::no_quorum);
  }
  const auto& tenure = r_.membership.adopted();
  const Seat peer = current_->peer;
  if (!tenure) return finish(false, Reason::never_used);
  if (!r_.data_peers().contains(peer) || !r_.peer(peer).met) return finish(false, Reason::peer_not_connected);
  if (tenure->primary && tenure->primary->node == peer) return finish(false, Reason::peer_is_primary);
  if (!r_.membership.is_resync_source() && !asked_) {
    if (r_.membership.adopting()) return;
    return finish(false, Reason::no_current_copy);
  }
  if (given_up_) return pump_given_up();
  if (!tenure->members.contains(peer)) {
    r_.dirty.mark_all(peer);
    r_.ctx.record.peers[peer.value].disk = {};
    r_.stop_copying(peer);
    given_up_ = true;
    return r_.records.changed();
  }
  asked_ = true;
  drop_.insert(peer);
}

// Until the peer itself has recorded that it has to be copied in full, a third node would not know.
void Admin::pump_given_up() {
  const Seat peer = current_->peer;
  if (!r_.disk_usable) return finish(false, Reason::no_disk);
  if (r_.source.began(peer) || r_.membership.member(peer)) finish(true);
}

// Nobody who wants a node down can be made to wait for what may never come. Leaving without handing over is what a crash is: the
// next start and the peers deal with it.
Instant Admin::stop_deadline() const {
  const bool hopeless = !r_.membership.may_decide() || !r_.disk_usable;
  return hopeless ? std::min(deadline_, since_ + kHopelessPatience) : deadline_;
}

void Admin::pump_stop() {
  Reason unclean = Reason::none;
  r_.write_path.resume();  // what waits is answered before this node leaves
  if (r_.membership.holds_tenure()) {
    hand_over();
    if (r_.ctx.now < stop_deadline()) return;
    unclean = r_.membership.may_decide() ? Reason::io_pending : Reason::no_quorum;
  }
  stopped_ = true;
  r_.source.abort_all();
  const bool late = r_.ctx.now >= deadline_;
  const bool quiet = r_.disk.in_flight() == 0 && (!r_.membership.adopting() || unclean != Reason::none);
  if (quiet && r_.disk_usable) {
    // An extent that stays set would count as out of sync after the next start, until there is a Primary to level it.
    r_.secondary.cool(Secondary::Heat::is_over);
    if (!std::exchange(asked_, true)) r_.dirty.pump();
  }
  if ((quiet && (!r_.disk_usable || (r_.records.idle() && r_.intents.idle() && r_.dirty.idle()))) || late) {
    gone_ = true;
    finish(true, unclean);
  }
}

}  // namespace lockstep
