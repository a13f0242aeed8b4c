// Events in, effects out: the pump between the loop and the Replica. The order of effects needs no care here: whatever depends on
// durability is an effect of the step that hears of it.
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "shell/loop/log.h"
#include "shell/resource/notices.h"
#include "shell/resource/resource.h"
#include "shell/resource/sparse_write.h"

namespace lockstep {

namespace {

IoStatus status_of(int error) {
  if (error == 0) return IoStatus::ok;
  return error == ENOSPC ? IoStatus::no_space : IoStatus::io_error;
}

BlockOp block_op(OpKind kind) {
  switch (kind) {
    case OpKind::read:
      return BlockOp::read;
    case OpKind::write:
      return BlockOp::write;
    case OpKind::write_zeroes:
      return BlockOp::write_zeroes;
    case OpKind::trim:
      return BlockOp::trim;
    case OpKind::flush:
      return BlockOp::flush;
  }
  UNREACHABLE("an operation kind");
}

}  // namespace

// Effects can cause events at once (a reply lets a client's next request in); those wait their turn.
void Resource::happen(Event event) {
  if (ending_) return;
  events_.push_back(std::move(event));
  if (!draining_) drain();
}

void Resource::drain() {
  draining_ = true;
  while (!events_.empty()) {
    const Event event = std::move(events_.front());
    events_.pop_front();
    effects_.clear();
    const Instant now = loop_->now();
    if (flight_) flight_->before(now, event);
    replica_->step(now, event, effects_);
    if (flight_) flight_->after(now, *replica_, effects_);
    for (const Effect& effect : effects_) {
      std::visit([this](const auto& e) { run(e); }, effect);
    }
  }
  draining_ = false;
  arm_timer();
}

void Resource::arm_timer() {
  const Instant due = replica_->next_deadline();
  if (due == kNever || due >= timer_due_) return;  // a timer that fires early costs one Tick
  if (timer_.value != 0) loop_->cancel(timer_);
  timer_due_ = due;
  timer_ = loop_->call_at(due, [this] {
    timer_ = {};
    timer_due_ = kNever;
    happen(Tick{});
  });
}

void Resource::run(const DiskIo& effect) {
  if (effect.kind == OpKind::read)
    return start_read({effect, effect.look == Look::compare ? payloads_.get(effect.payload) : BufferRef(), {}});
  // The buffer lives as long as the I/O may touch it.
  BufferRef payload = payloads_.get(effect.payload);
  BlockDone done = [this, io = effect.io, kind = effect.kind, payload](int error) { disk_done(io, error, kind); };
  if (checked_ && effect.kind != OpKind::flush) done = checked_->watch_change(effect, payload, std::move(done));
  if (effect.zeroes != 0) return write_sparsely(*disk_, effect, std::move(payload), std::move(done));
  std::byte* data = payload ? payload->data() : nullptr;
  disk_->submit(block_op(effect.kind), effect.range.offset, effect.range.length, data, effect.fua, std::move(done));
}

void Resource::disk_done(DiskIoId io, int error, OpKind kind, BlockMask found) {
  if (error != 0) {
    static constexpr const char* kNames[] = {"read", "write", "write of zeroes", "trim", "flush"};
    log_format(LogLevel::error, settings_.name, "disk-failed", "{}: {} failed: {}",
               joined_ != nullptr ? joined_->culprit() : settings_.disk, kNames[static_cast<size_t>(kind)], std::strerror(error));
  }
  happen(DiskDone{io, status_of(error), found});
}

void Resource::run(const WriteRecord& effect) {
  // What is asked of the disk from now on is asked in this tenure or a later one.
  if (joined_ != nullptr && effect.record->adopted) joined_->lay_out(effect.record->adopted->volumes);
  meta_->write_record(effect.record, [this, token = effect.token](int error) { metadata_done(token, error); });
}

void Resource::run(const WriteIntentPage& effect) {
  meta_->write_intent_page(effect.page, effect.sequence, effect.bits,
                           [this, token = effect.token](int error) { metadata_done(token, error); });
}

void Resource::run(const WriteBitmapPage& effect) {
  meta_->write_bitmap_page(effect.peer, effect.page, effect.bits,
                           [this, token = effect.token](int error) { metadata_done(token, error); });
}

void Resource::run(const SealExtent& effect) {
  checked_->seal(effect.extent, [this, token = effect.token](int error) { metadata_done(token, error); });
}

void Resource::metadata_done(MetaToken token, int error) {
  // The first one tells why; what comes after it fails because of it.
  if (error != 0 && !std::exchange(metadata_failed_, true)) {
    log_format(LogLevel::error, settings_.name, "metadata-failed", "{}: writing metadata failed: {}",
               settings_.meta_disk.empty() ? settings_.disk : settings_.meta_disk, std::strerror(error));
  }
  happen(MetaDone{token, error == 0});
}

void Resource::run(const Send& effect) {
  // False: the link is gone and its link_down is on the way; the core hears of it then.
  static_cast<void>(links_->send(effect.to, effect.link, effect.message, payloads_.get(effect.payload)));
}

void Resource::run(const CloseLink& effect) {
  const std::string why(text_of(effect.reason));
  if (effect.stand_alone) {
    log_format(LogLevel::error, settings_.name, code_of(effect.reason), "{}: StandAlone: {} {}", settings_.name_of(effect.peer),
               text_of(effect.reason), remedy_of(effect.reason));
    // A moment later: our own hello should reach the other side first, so that it comes to the same verdict and says so.
    loop_->call_at(loop_->now() + milliseconds(200), [this, peer = effect.peer, link = effect.link, why] {
      const LinkStatus now = links_->status(peer);
      if (now.state != LinkState::connected || now.link == link) links_->set_stand_alone(peer, why);
    });
  } else {
    links_->close(effect.peer, effect.link, why);
  }
}

void Resource::run(const ClientReply& effect) { clients_->replied(effect.io, effect.status, payloads_.get(effect.payload)); }

void Resource::run(const AdminReply& effect) {
  for (auto at = admins_.begin(); at != admins_.end(); ++at) {
    if (at->first != effect.id) continue;
    const AdminDone done = std::move(at->second);
    admins_.erase(at);
    done(effect);
    return;
  }
}

void Resource::run(const RoleChanged& effect) {
  primary_ = effect.primary;
  if (!primary_) clients_->shut_down_clients();
}

void Resource::run(const Note& effect) {
  const auto& tenure = replica_->record().adopted;
  const NoticeText text = describe(effect, settings_, tenure ? tenure->volumes : VolumeShapes{});
  log_line(text.level, settings_.name, text.text, text.reason);
  run_handlers(effect);
}

}  // namespace lockstep
