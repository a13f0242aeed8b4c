#include "core/replica_impl.h"

#include <algorithm>

#include "base/mutation.h"
#include "core/resync/block_runs.h"

namespace lockstep {

namespace {

Loaded checked(Loaded loaded) {
  const uint64_t extents = (loaded.record.size_bytes + kExtentBytes - 1) / kExtentBytes;
  if (loaded.intent.size() != extents) loaded.intent = BitVector(extents, loaded.intent.size() != 0);
  return loaded;
}

// How long a voter keeps silent after a start follows from what it granted, not from what is configured by now.
AcceptorRecord remembered(AcceptorRecord record, const CoreConfig& config) {
  if (MUTANT(silent_as_configured)) record.longest_lease = config.lease;
  return record;
}

}  // namespace

namespace {

// Who was Primary of a set that this copy and its own were in, as far as this node knows.
Seat fellow_primary(const NodeRecord& record) {
  const auto& tenure = record.adopted;
  if (!tenure || !tenure->primary || record.inconsistent) return kNoSeat;
  const Seat primary = tenure->primary->node;
  return tenure->members.contains(record.node) && tenure->members.contains(primary) ? primary : kNoSeat;
}

}  // namespace

ReplicaImpl::ReplicaImpl(const CoreConfig& config, Loaded given, Instant now)
    : ctx{config, given.record, now, nullptr, 0, 0, {}},
      records(ctx),
      acceptor(remembered(given.record.acceptor, config), given.record.boot, config.lease_drift_permille, now),
      intents(ctx, checked(given).intent, given.intent_sequences),
      dirty(ctx, std::move(given.bitmaps), blocks_of(given.record.size_bytes)),
      disk(ctx),
      meeting(*this),
      membership(*this),
      write_path(*this),
      feed(*this),
      secondary(*this),
      pace(ctx.config),
      source(*this, pace),
      target(*this),
      verifier(*this, pace),
      split_brain(*this),
      admin(*this) {
  for (uint8_t i = 0; i < kMaxSeats; ++i) {
    peers_[i].seat = Seat{i};
    peers_[i].since = now;
  }
  if (ctx.record.memory.superseded) {
    acceptor.storage_failed();
    disk_usable = false;
  }
  if (ctx.record.adopted && !ctx.record.adopted->volumes.empty()) dirty.cover(blocks_of(span_of(*ctx.record.adopted)));
  // What was being written when this node went down may differ from any other copy (design, section 3, "Dirty bitmap"). Against the Primary
  // that wrote it the intent map stands in for bits until that one is dropped, or has said what it has marked itself (ResyncTarget::writer_).
  for (Seat seat : data_peers()) {
    if (seat != fellow_primary(ctx.record)) dirty.mark_extents(seat, intents.bits());
  }
  if (intents.set_count() > 0) target.came_back();
}

uint64_t ReplicaImpl::blocks_in_doubt(Seat seat) const {
  const BitVector& dirty_there = dirty.of(seat);
  // What is on its way to a follower is not out of sync.
  const uint64_t marked = dirty_there.count();
  if (!target.unheard() || seat != fellow_primary(ctx.record)) return marked - std::min(marked, feed.blocks_in_flight(seat));
  uint64_t blocks = 0;
  for_each_run(dirty_there, intents.bits(), dirty.covered(), [&blocks](const BlockRun& run) { blocks += run.count; });
  return blocks;
}

VolumeCounts ReplicaImpl::blocks_in_doubt(Seat seat, const VolumeShapes& volumes) const {
  const BitVector& dirty_there = dirty.of(seat);
  if (!target.unheard() || seat != fellow_primary(ctx.record)) return count_by_volume(dirty_there, volumes);
  VolumeCounts counts;
  for (size_t i = 0; i < volumes.size(); ++i) counts.push_back(0);
  for_each_run(dirty_there, intents.bits(), dirty.covered(), [&](const BlockRun& run) {
    for (size_t i = 0; i < volumes.size(); ++i) {
      const uint64_t base = volume_base(volumes, i) / kBlockBytes;
      const uint64_t first = std::max(run.first, base);
      const uint64_t end = std::min(run.first + run.count, base + blocks_of_volume(volumes[i]));
      if (first < end) counts[i] += end - first;
    }
  });
  return counts;
}

void ReplicaImpl::send(Seat to, Message message, PayloadId payload) {
  const Peer& p = peer(to);
  if (!p.link_up) return;
  ctx.emit(Send{to, p.link, std::move(message), payload});
}

void ReplicaImpl::release(PayloadId payload) {
  if (payload.value != 0) ctx.emit(Release{payload});
}

void ReplicaImpl::close_link(Seat seat, Reason reason, bool stand_alone) {
  if (!peer(seat).link_up) return;
  ctx.emit(CloseLink{seat, peer(seat).link, reason, stand_alone});
  link_down(seat);
}

void ReplicaImpl::disk_failed(Reason reason) {
  if (reason == Reason::metadata_failed) stop_metadata();
  if (!disk_usable) return;
  if (reason != Reason::older_state) ctx.note(reason == Reason::metadata_failed ? Notice::metadata_failed : Notice::disk_failed);
  stop_using_disk();
}

void ReplicaImpl::stop_metadata() {
  acceptor.storage_failed();
  records.stop();
  intents.stop();
  dirty.stop();
}

void ReplicaImpl::let_go_of_disk() {
  if (!MUTANT(detached_votes)) stop_metadata();
  disk_released_ = true;
  ctx.note(Notice::disk_detached);
}

void ReplicaImpl::stop_using_disk() {
  disk_usable = false;
  tell_condition();
  source.abort_all();
  verifier.stop(kNoSeat);
  write_path.retry_waiting_for_room();
  write_path.intents_progressed();
  secondary.intents_progressed();
}

void ReplicaImpl::tell_condition() {
  for (Seat seat : data_peers()) {
    if (peer(seat).hello_sent) send(seat, DiskCondition{disk_usable, ctx.record.inconsistent, ctx.record.doubtful});
  }
}

// Only what is durable. A resync trusts the bitmaps by that, and links may be up from before the copies were levelled.
void ReplicaImpl::tell_remembered() {
  if (!records.idle()) return;
  for (Seat seat : data_peers()) {
    Peer& p = peer(seat);
    const Uuid& remembered = ctx.record.peers[seat.value].disk;
    if (!p.met || p.told == remembered) continue;
    p.told = remembered;
    send(seat, DiskRemembered{remembered});
  }
}

void ReplicaImpl::tell_paused() {
  for (Seat seat : data_peers()) {
    Peer& p = peer(seat);
    const bool paused = admin.paused(seat) || target.held();
    if (!p.met || p.told_paused == paused) continue;
    p.told_paused = paused;
    send(seat, ResyncPaused{p.told_paused});
  }
}

void ReplicaImpl::stop_copying(Seat seat) {
  if (feed.follows(seat)) send(seat, Following{membership.stamp(), false, 0});
  source.abort(seat);
  feed.stop(seat);
  peer(seat).replicating = false;
  write_path.leg_lost(seat);
}

void ReplicaImpl::range_held(OpId op) {
  if ((op.value & kResyncOpBit) != 0) return source.range_held(op);
  verifier.range_held(op);
}

void ReplicaImpl::given_up_as_superseded() {
  if (!ctx.record.memory.superseded) {
    ctx.record.memory.superseded = true;
    records.changed();
  }
  acceptor.storage_failed();
  disk_failed(Reason::older_state);
  for (Seat seat : data_peers() | ctx.config.witnesses) {
    peer(seat).refused = Reason::older_state;
    close_link(seat, Reason::older_state, true);
  }
}

bool ReplicaImpl::good_copy(Seat seat) const {
  const Peer& p = peer(seat);
  return p.met && p.disk_usable && !p.inconsistent && !p.doubtful && p.hello->disk == ctx.record.peers[seat.value].disk;
}

void ReplicaImpl::step(Instant now, const Event& event, Effects& out) {
  ctx.now = now;
  ctx.out = &out;
  membership.time_passed();
  dispatch(event);
  look_around();
  settle();
  ctx.out = nullptr;
}

void ReplicaImpl::settle() {
  // Each part may make progress that another one waits for; few rounds are needed, and one more does no harm.
  for (int round = 0; round < 3; ++round) {
    meeting.pump();
    membership.evaluate();
    target.pump();
    run_deferred();
    source.pump();
    feed.pump();
    verifier.pump();
    write_path.pump();
    admin.pump();
    if (admin.gone()) return;
  }
  records.pump();
  tell_remembered();
  tell_paused();
  admin.nodes().tell_peers();
  intents.pump();
}

void ReplicaImpl::dispatch(const Event& event) {
  if (const auto* request = std::get_if<ClientRequest>(&event)) return write_path.request(*request);
  if (const auto* done = std::get_if<DiskDone>(&event)) return disk.done(*done);
  if (const auto* meta = std::get_if<MetaDone>(&event)) return metadata_done(*meta);
  if (const auto* message = std::get_if<MessageReceived>(&event)) return message_received(*message);
  if (const auto* up = std::get_if<LinkUp>(&event)) return link_up(*up);
  if (const auto* down = std::get_if<LinkDown>(&event)) {
    if (peer(down->peer).link_up && peer(down->peer).link == down->link) link_down(down->peer);
    return;
  }
  if (const auto* request = std::get_if<AdminRequest>(&event)) return admin.request(*request);
  if (const auto* fence = std::get_if<FenceDone>(&event)) return membership.fence_done(*fence);
}

// What has to be looked at once a second while there is any of it, whatever else happens meanwhile: events that come more often must not
// put it off.
void ReplicaImpl::look_around() {
  if (ctx.now < next_look_) return;
  next_look_ = ctx.now + seconds(1);
  ++ctx.looks;
  give_up_a_hanging_disk();
  for (Seat seat : data_peers()) {
    const Instant oldest = peer(seat).link_up ? write_path.oldest_leg(seat) : kNever;
    const Instant resync = std::min({source.waiting_since(seat), verifier.waiting_since(seat), feed.waiting_since(seat)});
    if ((oldest != kNever && now_past(oldest)) || (resync != kNever && now_past(resync)))
      close_link(seat, Reason::acknowledgement_timeout);
  }
  if (!membership.holds_tenure()) {
    secondary.cool(Secondary::Heat::matters);
    dirty.pump();
  }
}

// Not between two roles: a node that becomes Primary has positions of the Primary before, and has settled none of them.
void ReplicaImpl::go_on_cooling() {
  if (membership.is_primary()) {
    if (intents.wants_cooling() || write_path.waits_for_room()) write_path.cool();
  } else if (!membership.holds_tenure() && intents.wants_cooling()) {
    secondary.cool(Secondary::Heat::matters);
  }
}

bool ReplicaImpl::another_copy() const {
  for (Seat seat : data_peers()) {
    if (membership.member(seat) && good_copy(seat)) return true;
  }
  return false;
}

// Ages count in looks and not in seconds: a daemon that slept itself does not blame its disk for it. The last copy is waited for.
void ReplicaImpl::give_up_a_hanging_disk() {
  const int64_t timeout = ctx.config.disk_timeout.ns;
  if (timeout <= 0 || !another_copy()) return;
  const auto looks = static_cast<uint64_t>((timeout + seconds(1).ns - 1) / seconds(1).ns);
  const auto hangs = [&](const auto& write) { return ctx.looks - write.second > looks; };
  const bool data = disk.hangs(looks);
  const bool metadata = std::any_of(ctx.metadata.begin(), ctx.metadata.end(), hangs) || (data && ctx.config.metadata_on_disk);
  if (!metadata && !data) return;
  if (disk_usable) ctx.note(Notice::disk_hangs, kNoSeat, looks);
  disk_failed(metadata ? Reason::metadata_failed : Reason::disk_failed);
  if (metadata) abandon_metadata();
  disk.abandon();
}

void ReplicaImpl::abandon_metadata() {
  std::vector<MetaToken> lost;
  for (const auto& [token, since] : ctx.metadata) lost.push_back(token);
  for (MetaToken token : lost) {
    metadata_done({token, false});
    abandoned_.insert(token);
  }
}

void ReplicaImpl::metadata_done(const MetaDone& said) {
  if (abandoned_.erase(said.token) > 0) return;
  ctx.metadata.erase(said.token);
  const MetaDone event{said.token, said.ok || MUTANT(metadata_failure_ignored)};
  if (records.done(event.token, event.ok)) {
    if (!event.ok) disk_failed(Reason::metadata_failed);
    return;
  }
  if (intents.sealed(event.token, event.ok)) {
    if (!event.ok) return disk_failed(Reason::metadata_failed);
    return go_on_cooling();
  }
  const bool was_intent = intents.done(event.token, event.ok);
  CHECK(was_intent || dirty.done(event.token, event.ok));
  if (!event.ok) return disk_failed(Reason::metadata_failed);
  // Marks that are stored now may let an extent go that a write waits for.
  if (!was_intent) return write_path.waits_for_room() ? write_path.cool() : void();
  write_path.intents_progressed();
  secondary.intents_progressed();
}

void ReplicaImpl::link_up(const LinkUp& event) {
  // Of who was taken out of the configuration a moment ago.
  if (!(ctx.config.data_nodes | ctx.config.witnesses).contains(event.peer))
    return ctx.emit(CloseLink{event.peer, event.link, Reason::operator_request, false});
  if (peer(event.peer).link_up) link_down(event.peer);
  Peer& p = peer(event.peer);
  p.link_up = true;
  p.link = event.link;
  p.since = ctx.now;
  membership.greet(event.peer);
}

void ReplicaImpl::link_down(Seat seat) {
  Peer& p = peer(seat);
  const bool was_met = p.met;
  const bool was_introduced = p.introduced;
  for (const auto& deferred : p.deferred) release(deferred.payload);
  const bool was_replicating = p.replicating;
  const Uuid acceptor_seen = p.seen_acceptor;
  const size_t in_flight = p.writes_in_flight;
  const Reason refused = p.refused;
  p = Peer{};
  p.seat = seat;
  p.since = ctx.now;
  p.writes_in_flight = in_flight;
  p.seen_acceptor = acceptor_seen;
  p.refused = refused;
  if (!seat.is_witness()) {
    split_brain.link_changed(seat);
    // Acknowledged there, and not known to be flushed there.
    if (was_replicating && !feed.active(seat)) write_path.mark_in_doubt(seat);
    source.abort(seat);
    feed.stop(seat);
    secondary.forget_what_waits(seat);
    if (verifier.active(seat)) verifier.stop(seat);
    target.abort(seat);
    admin.drop_done(seat);
    write_path.leg_lost(seat);
    if (was_met) ctx.note(Notice::peer_lost, seat);
  } else {
    if (was_introduced) ctx.note(Notice::voter_lost, seat);
  }
  membership.link_changed(seat);
}

void ReplicaImpl::message_received(const MessageReceived& event) {
  Peer& p = peer(event.from);
  if (!p.link_up || p.link != event.link) return release(event.payload);
  p.heard = ctx.now;
  const Message& message = event.message;
  if (const auto* voter = std::get_if<VoterHello>(&message)) return membership.voter_hello(event.from, *voter);
  if (const auto* later = std::get_if<Superseded>(&message)) return membership.superseded(event.from, *later);
  if (is_register_message(message)) return membership.register_message(event.from, message);
  if (event.from.is_witness()) return close_link(event.from, Reason::protocol_violation);
  if (const auto* hello = std::get_if<PeerHello>(&message)) return meeting.hello(event.from, *hello);
  if (const auto* theirs = std::get_if<Differences>(&message)) return split_brain.differences(event.from, *theirs);
  if (const auto* care = std::get_if<Caretaking>(&message)) {
    p.caretaker = care->on;
    return;
  }
  if (const auto* theirs = std::get_if<NodesConfigured>(&message)) {
    p.configured = theirs->data_nodes;
    return;
  }
  if (std::holds_alternative<YieldRequest>(message)) return membership.yield(event.from);
  // Answers to what this node asked are never in the way of an adoption.
  if (const auto* adopted = std::get_if<TenureAdopted>(&message)) {
    p.adopted = adopted->stamp;
    return;
  }
  if (const auto* reply = std::get_if<WriteReply>(&message)) {
    if (source.write_reply(event.from, reply->op, reply->status) || feed.write_reply(event.from, reply->op, reply->status))
      return;
    return write_path.write_reply(event.from, reply->op, reply->status);
  }
  if (const auto* word = std::get_if<WriteReceived>(&message)) return feed.received(event.from, word->op);
  if (const auto* reply = std::get_if<CompareReply>(&message)) {
    if (!source.compare_reply(event.from, *reply)) verifier.compare_reply(event.from, *reply);
    return;
  }
  if (const auto* reply = std::get_if<FlushReply>(&message)) {
    if (membership.flush_reply(event.from, reply->op, reply->status)) return;
    if (source.flush_reply(event.from, reply->op, reply->status) || feed.flush_reply(event.from, reply->op, reply->status))
      return;
    return write_path.flush_reply(event.from, reply->op, reply->status);
  }
  if (const auto* reply = std::get_if<ReadReply>(&message))
    return write_path.read_reply(event.from, reply->op, reply->status, event.payload);
  if (const auto* ready = std::get_if<JoinReady>(&message)) return source.join_ready(event.from, *ready);
  if (p.deferred.size() >= kMaxDeferred) {
    release(event.payload);
    return close_link(event.from, Reason::protocol_violation);
  }
  p.deferred.push_back({message, event.payload});
  run_deferred();
}

// Requests of a peer run in the order in which they came, once both have met and no tenure is being adopted.
void ReplicaImpl::run_deferred() {
  for (Seat seat : data_peers()) {
    Peer& p = peer(seat);
    while (!p.deferred.empty() && p.met && !replication_blocked()) {
      const Peer::Deferred next = std::move(p.deferred.front());
      p.deferred.pop_front();
      replication_message(seat, next.message, next.payload);
    }
  }
}

void ReplicaImpl::replication_message(Seat from, const Message& message, PayloadId payload) {
  if (const auto* tenure = std::get_if<TenureDecided>(&message)) {
    if (membership.adopted() && membership.adopted()->history != tenure->tenure.history) {
      peer(from).refused = Reason::different_history;
      return close_link(from, Reason::different_history, true);
    }
    return membership.decided_elsewhere(from, tenure->tenure);
  }
  if (!secondary.later(from, message, payload)) replication_message_now(from, message, payload);
}

void ReplicaImpl::replication_message_now(Seat from, const Message& message, PayloadId payload) {
  if (const auto* write = std::get_if<WriteRequest>(&message)) return secondary.write(from, *write, payload);
  if (const auto* write = std::get_if<FollowerWrite>(&message)) return secondary.follow(from, *write, payload);
  if (const auto* flush = std::get_if<FollowerFlush>(&message)) return secondary.flush(from, {flush->stamp, flush->op});
  if (const auto* word = std::get_if<Following>(&message)) return target.following(from, *word);
  if (const auto* write = std::get_if<ResyncWrite>(&message)) return secondary.resync_write(from, *write, payload);
  if (const auto* compare = std::get_if<CompareRequest>(&message)) return secondary.compare(from, *compare, payload);
  if (const auto* paused = std::get_if<ResyncPaused>(&message)) {
    peer(from).paused = paused->on;
    if (!paused->on) source.ask_again(from);
    return ctx.note(paused->on ? Notice::resync_paused : Notice::resync_resumed, from);
  }
  if (const auto* flush = std::get_if<FlushRequest>(&message)) return secondary.flush(from, *flush);
  if (const auto* read = std::get_if<ReadRequest>(&message)) return secondary.read(from, *read);
  if (const auto* settled = std::get_if<Settled>(&message)) return secondary.settled(from, *settled);
  if (const auto* begin = std::get_if<ResyncBegin>(&message)) return target.begin(from, *begin);
  if (const auto* map = std::get_if<ResyncMap>(&message)) return source.map_received(from, *map);
  if (std::holds_alternative<ResyncDeclined>(message)) return source.declined(from);
  if (const auto* remembered = std::get_if<DiskRemembered>(&message)) {
    peer(from).remembers = remembered->disk;
    return;
  }
  if (const auto* prepare = std::get_if<JoinPrepare>(&message)) return target.join_prepare(from, *prepare);
  if (const auto* condition = std::get_if<DiskCondition>(&message)) {
    peer(from).disk_usable = condition->usable;
    peer(from).inconsistent = condition->inconsistent;
    peer(from).doubtful = condition->doubtful;
    peer(from).whole = !condition->inconsistent;
    if (!condition->usable) {
      stop_copying(from);
      target.source_lost_disk(from);
    }
    return;
  }
  if (std::holds_alternative<DropMe>(message)) return admin.drop_requested(from);
  release(payload);
}

bool ReplicaImpl::now_past(Instant started) const { return ctx.now >= started + ctx.config.ack_timeout; }

Instant ReplicaImpl::next_deadline() const {
  Instant due = std::min({membership.next_deadline(), write_path.next_deadline(), admin.next_deadline(), source.next_deadline(),
                          verifier.next_deadline(), target.next_deadline(), feed.next_deadline()});
  // Legs without an answer, and hot extents of a Secondary, are looked at once a second while there are any.
  bool resyncing = false;
  for (Seat seat : data_peers()) {
    const bool asked = feed.waiting_since(seat) != kNever;
    resyncing = resyncing || source.active(seat) || verifier.active(seat) || asked;
  }
  if (resyncing || !write_path.quiet() || (!membership.holds_tenure() && intents.set_count() > 0 && disk_usable))
    due = std::min(due, next_look_);
  const bool disk_at_work = disk.in_flight() > 0 || !ctx.metadata.empty();
  if (ctx.config.disk_timeout.ns > 0 && disk_at_work) due = std::min(due, next_look_);
  return due;
}

// --- the public face -----------------------------------------------------------------------------------------------------

Replica::Replica(const CoreConfig& config, Loaded loaded, Instant now)
    : impl_(std::make_unique<ReplicaImpl>(config, std::move(loaded), now)) {}
Replica::~Replica() = default;
Replica::Replica(Replica&&) noexcept = default;
Replica& Replica::operator=(Replica&&) noexcept = default;
void Replica::step(Instant now, const Event& event, Effects& out) { impl_->step(now, event, out); }
Instant Replica::next_deadline() const { return impl_->next_deadline(); }
Snapshot Replica::inspect(Instant now) const { return impl_->inspect(now); }
const NodeRecord& Replica::record() const { return impl_->ctx.record; }
const BitVector& Replica::differing(Seat peer) const { return impl_->dirty.of(peer); }
bool Replica::own_disk_counts(Instant now) const {
  const Membership& membership = impl_->membership;
  return membership.serving() && now < membership.lease_until() && impl_->disk_usable && membership.member(impl_->self()) &&
         !impl_->write_path.suspended();
}

std::vector<SyncRun> Replica::sync_runs(uint64_t first, uint64_t count, size_t most) const {
  return lockstep::sync_runs(*impl_, first, count, most);
}

}  // namespace lockstep
