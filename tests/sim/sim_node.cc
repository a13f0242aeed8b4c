#include "sim/sim_node.h"

#include <fmt/format.h>

#include "base/check.h"
#include "core/attach.h"
#include "sim/block_look.h"
#include "sim/mutants.h"

namespace lockstep::sim {
namespace {

constexpr int kMaxStepsAtOnce = 20000;
constexpr size_t kMaxEffects = 20000;
constexpr size_t kMaxPayloads = 4096;
constexpr size_t kMaxDiskIo = 4096;
constexpr size_t kDigestPages = 12;  // in memory: a few, so that they come and go

}  // namespace

SimNode::SimNode(SimContext context, Prng prng, const CoreConfig& config, uint64_t blocks)
    : context_(context),
      prng_(prng.fork()),
      config_(config),
      disk_(context.queue, prng.fork(), context.oracle, config.self, blocks) {
  context_.oracle.add_disk(config.self, &disk_);
}

void SimNode::create_metadata(ResourceId resource, uint64_t content) {
  NodeRecord record;
  record.resource = resource;
  record.node = config_.self;
  record.disk = prng_.uuid();
  record.size_bytes = disk_.blocks() * kBlockBytes;
  record.volumes = volumes_;
  record.acceptor.acceptor = prng_.uuid();
  // As create-md: never the one of the disk before.
  const auto& random = record.acceptor.acceptor.bytes;
  record.memory.lineage.start = (uint64_t{random[0]} << 40) | (uint64_t{random[1]} << 32) | (uint64_t{random[2]} << 24);
  disk_.create(record, content);
}

void SimNode::restore(const SimDisk::Image& image) {
  context_.trace.note(seat(), fmt::format("its disk is set back to what it was at start {}", image.record.start()));
  disk_.restore(image);
}

// --- life of the machine and of the process
// ---------------------------------------------------------------------------------

void SimNode::power_on() {
  if (state_ != State::off) return;
  boot_ = prng_.uuid();
  const int drift = static_cast<int>(prng_.between(-22, 22));
  clock_ = SimClock(context_.queue.now(), Instant{prng_.between(1, 1'000'000) * 1'000'000}, drift);
  state_ = State::stopped;
  context_.trace.note(seat(), "power on");
  context_.net.silence_changed(seat());
}

void SimNode::start() {
  if (state_ != State::stopped) return;
  state_ = State::starting;
  ++life_;
  attach(life_);
}

// No claim, no attach: I/O of a killed process may still be under way.
void SimNode::attach(uint64_t life) {
  if (life != life_ || state_ != State::starting) return;
  if (disk_.busy() && !MUTANT(attached_without_claim)) {
    context_.queue.after(milliseconds(2), [this, life] { attach(life); });
    return;
  }
  auto record = std::make_shared<NodeRecord>(disk_.open());
  const CoreConfig config = config_;  // as it is read now, whatever an operator writes meanwhile
  begin_attach(*record, disk_.durable_intent(), {boot_, prng_.next(), config.data_nodes, disk_.behaviour.volatile_cache});
  disk_.write(WriteRecord{MetaToken{0}, record}, [this, life, record, config](bool ok) {
    if (life != life_ || state_ != State::starting) return;
    if (ok) {
      attached(life, *record, config);
    } else {
      context_.queue.after(milliseconds(300), [this, life] { attach(life); });
    }
  });
}

void SimNode::attached(uint64_t life, const NodeRecord& record, const CoreConfig& config) {
  CHECK(life == life_);
  Loaded loaded = disk_.load();
  CHECK(loaded.record == record);
  start_ = record.start();
  context_.oracle.started(seat());
  state_ = State::running;
  known_ = config.data_nodes;
  asked_.clear();
  leaving_ = false;
  primary_ = false;
  timer_ = kNever;
  meta_outstanding_.clear();
  reads_.clear();
  metadata_failed_ = disk_failed_ = failing_step_ = disk_released_ = releases_ = false;
  detaches_.clear();
  if (config.digests_at_rest) open_digests(loaded.intent);
  context_.trace.note(seat(), fmt::format("starts, start {} boot {}", start_, describe(boot_)));
  if (context_.trace.printing()) context_.trace.note(seat(), describe(record));
  const Instant now = clock_.local(context_.queue.now());
  if (context_.recordings) recording_ = std::make_unique<RunRecording>(flight::Beginning{config, loaded, now});
  replica_.emplace(config, std::move(loaded), now);
  step(Tick{});
}

void SimNode::open_digests(const BitVector& in_doubt) {
  if (const auto block = disk_.wrong_digest())
    context_.oracle.fail("P7", fmt::format("{}: the digest at rest of block {} is wrong", describe(seat()), *block));
  disk_.excuse_rot();
  digests_.emplace(disk_, in_doubt, kDigestPages, [this](const std::string& what) {
    context_.oracle.fail("P7", fmt::format("{}: {}", describe(seat()), what));
  });
}

void SimNode::end_process() {
  ++life_;
  digests_.reset();
  end_recording();
  replica_.reset();
  inbox_.clear();
  payloads_.clear();
  effects_.clear();
  paused_ = false;
  primary_ = false;
  stand_alone_ = SeatSet{};
  context_.listener.process_ended(seat());
}

void SimNode::end_recording() {
  if (recording_ && replica_) recording_->finish(*replica_, context_.recordings);
  recording_.reset();
}

void SimNode::kill() {
  if (state_ != State::running && state_ != State::starting) return;
  context_.trace.note(seat(), "killed");
  const bool was_silent = silent();
  state_ = State::stopped;
  disk_.process_killed();
  end_process();
  context_.net.process_ended(seat(), false);
  if (was_silent) context_.net.silence_changed(seat());
}

void SimNode::power_off() {
  if (state_ == State::off) return;
  context_.trace.note(seat(), "loses power");
  state_ = State::off;
  disk_.power_lost();
  end_process();
  context_.net.process_ended(seat(), true);
  context_.net.silence_changed(seat());
}

void SimNode::pause() {
  if (state_ != State::running || paused_) return;
  context_.trace.note(seat(), "frozen");
  paused_ = true;
  context_.net.silence_changed(seat());
}

void SimNode::resume() {
  if (!paused_) return;
  context_.trace.note(seat(), "goes on");
  paused_ = false;
  context_.net.silence_changed(seat());
  const uint64_t life = life_;
  while (!inbox_.empty() && life == life_) {
    const Event event = std::move(inbox_.front());
    inbox_.pop_front();
    step(event);
  }
}

void SimNode::configure(SeatSet data_nodes) {
  if (config_.data_nodes == data_nodes) return;
  config_.data_nodes = data_nodes;
  context_.trace.note(seat(), fmt::format("its configuration has the data nodes {}", describe(data_nodes)));
}

void SimNode::adjust(AdminId id) {
  if (!alive() || known_ == config_.data_nodes) return;
  asked_[id] = config_.data_nodes;
  post(AdminRequest{id, AdminOp::change_nodes, kNoSeat, {}, {}, 0, false, config_.data_nodes | config_.witnesses});
}

void SimNode::set_stand_alone(Seat peer, bool on) {
  if (on) {
    stand_alone_.insert(peer);
  } else {
    stand_alone_.erase(peer);
  }
}

// --- events in
// --------------------------------------------------------------------------------------------------------------

void SimNode::post(Event event) {
  if (state_ != State::running || leaving_) return;
  const auto* command = std::get_if<AdminRequest>(&event);
  if (command != nullptr && command->op == AdminOp::primary_force) context_.oracle.force_asked(seat());
  if (paused_) {
    inbox_.push_back(std::move(event));
  } else {
    step(event);
  }
}

PayloadId SimNode::add_payload(Payload payload) {
  const PayloadId id{next_payload_++};
  payloads_[id] = std::move(payload);
  return id;
}

void SimNode::receive(Seat from, LinkId link, const Message& message, Payload payload) {
  if (state_ != State::running || leaving_) return;
  const PayloadId id = payload ? add_payload(std::move(payload)) : PayloadId{};
  const Misfit misfit = misfits_[from.value];
  if (misfit == Misfit::none || !std::holds_alternative<PeerHello>(message))
    return post(MessageReceived{from, link, message, id});
  PeerHello hello = std::get<PeerHello>(message);
  if (misfit == Misfit::other_protocol) ++hello.protocol;
  if (misfit == Misfit::my_node_id) hello.node = seat();
  if (misfit == Misfit::small_disk) {
    hello.size_bytes = kBlocksPerExtent * kBlockBytes;
    for (VolumeShape& volume : hello.volumes) volume.size_bytes = kBlockBytes;
  }
  post(MessageReceived{from, link, hello, id});
  if (misfit == Misfit::two_hellos) post(MessageReceived{from, link, hello, id});
}

void SimNode::step(const Event& event) {
  context_.trace.event(seat(), event);
  guard_against_spinning();
  note_failure(event);
  constexpr int kFenced = 7;
  constexpr int kOutdated = 4;
  if (const auto* done = std::get_if<FenceDone>(&event)) {
    if (done->exit_status == kFenced) context_.oracle.fence_told(seat(), done->peer);
    if (done->exit_status == kOutdated) context_.oracle.stood_aside(seat(), done->peer);
  }
  const auto* command = std::get_if<AdminRequest>(&event);
  if (command != nullptr && command->op == AdminOp::detach) detaches_.insert(command->id);
  note_hello(event);
  CHECK(effects_.empty());
  Effects effects;
  effects.swap(effects_);
  const Instant now = clock_.local(context_.queue.now());
  if (recording_) recording_->recorder().before(now, event);
  replica_->step(now, event, effects);
  if (recording_) recording_->recorder().after(now, *replica_, effects);
  if (effects.size() > kMaxEffects) context_.oracle.fail("P10", fmt::format("{} effects of one step", effects.size()));
  const uint64_t life = life_;
  for (const Effect& effect : effects) {
    context_.trace.effect(seat(), effect);
    if (life != life_) return;
    if (leaving_) context_.oracle.fail("P12", "an effect follows the reply to `stop`: " + describe(effect));
    check_failed_storage(effect);
    std::visit([this](const auto& e) { execute(e); }, effect);
    context_.listener.effect_done(seat(), effect);
  }
  for (const Effect& effect : effects) {
    if (const auto* gone = std::get_if<Release>(&effect)) release(gone->payload);
  }
  effects.clear();
  effects_.swap(effects);
  disk_released_ = disk_released_ || releases_;
  if (payloads_.size() > kMaxPayloads) context_.oracle.fail("P10", fmt::format("{} payloads held", payloads_.size()));
  arm_timer();
}

void SimNode::note_hello(const Event& event) {
  const auto& adopted = replica_->record().adopted;
  number_before_ = adopted ? adopted->number : 0;
  const auto* received = std::get_if<MessageReceived>(&event);
  const auto* hello = received != nullptr ? std::get_if<PeerHello>(&received->message) : nullptr;
  if (hello != nullptr) heard_[received->from.value] = {hello->boot, hello->tenure ? hello->tenure->number : 0};
}

// By which row of the handshake table.
void SimNode::count_meeting(Seat peer) {
  const uint64_t theirs = heard_[peer.value].number;
  const auto row = theirs == number_before_  ? lockstep::Verdict::connect
                   : theirs > number_before_ ? lockstep::Verdict::adopt_theirs
                                             : lockstep::Verdict::they_adopt_mine;
  ++context_.coverage.meetings[static_cast<size_t>(row)];
}

void SimNode::note_failure(const Event& event) {
  const auto* done = std::get_if<DiskDone>(&event);
  const auto* meta = std::get_if<MetaDone>(&event);
  const bool disk = done != nullptr && done->status != IoStatus::ok && !reads_.contains(done->io);
  const bool metadata = meta != nullptr && !meta->ok;
  if (done != nullptr) reads_.erase(done->io);
  failing_step_ = disk || metadata;
  disk_failed_ = disk_failed_ || disk;
  metadata_failed_ = metadata_failed_ || metadata;
  if (metadata && digests_) digests_->metadata_failed();
}

// P11: what failed is given up. No write of metadata after one that failed, no vote by such an acceptor; no change of a disk that
// refused one, and no word that it has one.
void SimNode::check_failed_storage(const Effect& effect) {
  const auto give = [&](const char* what) {
    context_.oracle.fail("P11",
                         fmt::format("{}: {} after it failed or was let go of: {}", describe(seat()), what, describe(effect)));
  };
  const auto* send = std::get_if<Send>(&effect);
  if (metadata_failed_ || disk_released_) {
    if (std::holds_alternative<WriteRecord>(effect) || std::holds_alternative<WriteIntentPage>(effect) ||
        std::holds_alternative<WriteBitmapPage>(effect) || std::holds_alternative<SealExtent>(effect))
      give("metadata is written");
    if (send != nullptr && (std::holds_alternative<Promise>(send->message) || std::holds_alternative<Accepted>(send->message) ||
                            std::holds_alternative<LeaseGranted>(send->message)))
      give("a vote is given");
  }
  const auto* io = std::get_if<DiskIo>(&effect);
  if (disk_released_ && io != nullptr) give("the disk is used");
  if (!metadata_failed_ && !disk_failed_) return;
  if (io != nullptr && io->kind != OpKind::read) give("the disk is used");
  if (send == nullptr) return;
  const auto* wrote = std::get_if<WriteReply>(&send->message);
  const auto* flushed = std::get_if<FlushReply>(&send->message);
  // What was under way beside it may still succeed and be confirmed; this one may not.
  if (failing_step_ && flushed != nullptr && flushed->status == IoStatus::ok) give("the flush is confirmed");
  if (failing_step_ && wrote != nullptr && wrote->status == IoStatus::ok) give("the write is confirmed");
}

void SimNode::guard_against_spinning() {
  const Instant now = context_.queue.now();
  steps_at_once_ = now == last_step_at_ ? steps_at_once_ + 1 : 0;
  last_step_at_ = now;
  if (steps_at_once_ == kMaxStepsAtOnce) context_.oracle.fail("P10", fmt::format("{} spins", describe(seat())));
}

void SimNode::arm_timer() {
  const Instant wanted = replica_->next_deadline();
  if (wanted == kNever || wanted >= timer_) return;
  timer_ = wanted;
  context_.queue.at(clock_.world(wanted), [this, wanted, life = life_] {
    if (life != life_ || timer_ != wanted) return;
    timer_ = kNever;
    if (paused_ || replica_->next_deadline() <= clock_.local(context_.queue.now())) {
      post(Tick{});
    } else {
      arm_timer();
    }
  });
}

// --- effects out
// ------------------------------------------------------------------------------------------------------------

Payload SimNode::payload_of(PayloadId id) {
  const auto found = payloads_.find(id);
  if (found == payloads_.end()) {
    context_.oracle.fail("P10", fmt::format("{} uses payload {:#x} after its release", describe(seat()), id.value));
    return nullptr;
  }
  return found->second;
}

void SimNode::execute(const DiskIo& effect) {
  Payload payload;
  if (effect.kind == OpKind::write) {
    if (effect.payload.value != 0) payload = payload_of(effect.payload);
    if (!payload && effect.payload.value != 0) return;
    if (effect.zeroes != 0) payload = with_zeroes(payload, effect);
    CHECK(payload && payload->size() == effect.range.length / kBlockBytes);
  }
  if (effect.kind == OpKind::read) {
    reads_.insert(effect.io);
    if (effect.look == Look::compare) {
      payload = payload_of(effect.payload);  // digests: what the other side's blocks hold
      if (!payload) return;
    } else {
      CHECK((effect.payload.value & kCorePayloadBit) != 0);
      CHECK(payloads_.emplace(effect.payload, nullptr).second);
    }
  }
  if (disk_.in_flight() > kMaxDiskIo) context_.oracle.fail("P10", "too many disk operations in flight");
  Payload digests = effect.look == Look::compare ? std::exchange(payload, nullptr) : nullptr;
  const auto done = [this, life = life_, io = effect, digests](IoStatus status, Payload read) {
    disk_done(life, io, status, std::move(read), digests);
  };
  if (digests_) return digests_->submit(effect, std::move(payload), digests, done);
  disk_.submit(effect, std::move(payload), done);
}

void SimNode::disk_done(uint64_t life, const DiskIo& io, IoStatus status, Payload payload, const Payload& digests) {
  if (life != life_) return;
  if (status == IoStatus::corrupt) ++context_.coverage.rot_found;
  if (io.kind == OpKind::read && status != IoStatus::ok && io.range.length <= kBlockBytes)
    context_.oracle.could_not_read(io.range.offset / kBlockBytes);
  BlockMask found = 0;
  if (io.kind == OpKind::read && io.look == Look::compare) {
    if (status == IoStatus::ok) found = differing(*payload, *digests);
  } else if (io.kind == OpKind::read) {
    if (status == IoStatus::ok) {
      if (io.look == Look::zeroes) found = leave_out_zeroes(payload);
      // What was abandoned may have been released meanwhile.
      if (const auto wanted = payloads_.find(io.payload); wanted != payloads_.end()) wanted->second = std::move(payload);
    } else {
      payloads_.erase(io.payload);  // a read that failed has produced nothing
    }
  }
  post(DiskDone{io.io, status, found});
}

template <class Effect>
void SimNode::write_meta(const Effect& effect) {
  disk_.write(effect, [this, life = life_, token = effect.token](bool ok) {
    if (life == life_) post(MetaDone{token, ok});
  });
}

// As from the disk, whenever that is.
void SimNode::execute(const SealExtent& effect) {
  CHECK(digests_);
  digests_->seal(effect.extent, [this, life = life_, token = effect.token](int error) {
    context_.queue.after(microseconds(1), [this, life, token, error] {
      if (life == life_) post(MetaDone{token, error == 0});
    });
  });
}

void SimNode::execute(const Send& effect) {
  Payload payload;
  if (effect.payload.value != 0) {
    payload = payload_of(effect.payload);
    if (!payload) return;
  }
  context_.net.send(seat(), effect.to, effect.link, effect.message, std::move(payload));
}

void SimNode::execute(const CloseLink& effect) {
  ++context_.coverage.closed[static_cast<size_t>(effect.reason)];
  context_.net.close(seat(), effect.peer, effect.link);
  if (effect.stand_alone) set_stand_alone(effect.peer, true);
  if (effect.reason == Reason::congested)  // an operator connects it again
    context_.queue.after(seconds(2), [this, peer = effect.peer] { set_stand_alone(peer, false); });
}

void SimNode::execute(const ClientReply& effect) {
  Payload payload;
  if (effect.payload.value != 0) payload = payload_of(effect.payload);
  context_.listener.client_answered(seat(), effect.io, effect.status, std::move(payload));
}

void SimNode::execute(const AdminReply& effect) {
  if (!effect.ok) context_.oracle.refused(seat(), fmt::format("command {}", effect.id.value), effect.reason);
  if (const auto change = asked_.find(effect.id); change != asked_.end()) {
    if (effect.ok) known_ = change->second;
    asked_.erase(change);
  }
  releases_ = releases_ || (effect.ok && detaches_.erase(effect.id) > 0);
  // Pages of digests that are still under way are the shell's, which waits for them before it closes the disk.
  if (releases_ && !digests_ && disk_.in_flight() > 0)
    context_.oracle.fail("P11", fmt::format("{} lets go of a disk that is in use", describe(seat())));
  context_.listener.admin_answered(seat(), effect.id, effect.ok, effect.reason);
}

void SimNode::execute(const RoleChanged& effect) {
  primary_ = effect.primary;
  if (effect.primary) context_.oracle.promoted(seat(), start_, replica_->record().adopted);
  context_.listener.role_changed(seat(), effect.primary);
}

void SimNode::execute(const RunFence& effect) { context_.listener.fence_wanted(seat(), effect.peer, effect.evidence); }

void SimNode::execute(const Note& effect) {
  Coverage& coverage = context_.coverage;
  coverage.hit(effect.notice);
  if (effect.notice == Notice::peer_connected) {
    context_.oracle.met(seat(), effect.seat, heard_[effect.seat.value].boot);
    count_meeting(effect.seat);
  }
  if (effect.notice == Notice::peer_refused) ++coverage.meeting_refused.at(effect.a);
  if (effect.notice == Notice::disk_failed) ++coverage.detached[static_cast<size_t>(Reason::disk_failed)];
  if (effect.notice == Notice::metadata_failed) ++coverage.detached[static_cast<size_t>(Reason::metadata_failed)];
  if (effect.notice == Notice::resync_started)
    context_.oracle.resync_begins(seat(), effect.seat, replica_->differing(effect.seat));
  if (effect.notice == Notice::resync_wanted) context_.listener.resync_wanted(seat(), effect.seat, effect.a);
  if (effect.notice == Notice::round_started) context_.oracle.round_started({effect.a, seat(), start_});
  // What is listed could not be read on one of the two, or is a write that was under way.
  if (effect.notice == Notice::verify_finished && effect.a > context_.oracle.unreadable_blocks())
    context_.oracle.fail(
        "P4", fmt::format("{}: {} blocks are said to differ on {}", describe(seat()), effect.a, describe(effect.seat)));
  if (effect.notice == Notice::frozen) {
    context_.oracle.refused(seat(), "I/O frozen", static_cast<Reason>(effect.a));
    ++coverage.frozen.at(effect.a);
  }
}

void SimNode::release(PayloadId id) {
  if (payloads_.erase(id) == 0 && (id.value & kCorePayloadBit) == 0) {
    context_.oracle.fail("P10", fmt::format("{} releases payload {} twice", describe(seat()), id.value));
  }
}

}  // namespace lockstep::sim
