#include "shell/link/lanes.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/message_codec.h"

namespace lockstep {

LinkLanes::LinkLanes(EventLoop& loop, const LinkSettings& settings, const std::vector<std::unique_ptr<Path>>& paths,
                     bool numbered, LanesOwner& owner)
    : loop_(loop), settings_(settings), paths_(paths), numbered_(numbered), owner_(&owner), ways_(paths.size()) {}

void LinkLanes::end() {
  owner_ = nullptr;
  if (watch_.value != 0) loop_.cancel(watch_);
  watch_ = {};
  for (Out& lane : out_) lane = {};  // what is kept goes back to its pool
}

size_t LinkLanes::queued_bytes() const {
  if (numbered_) return out_[0].sender.bytes() + out_[1].sender.bytes();
  return out_[0].path != nullptr ? out_[0].path->queued_bytes() : out_[1].path != nullptr ? out_[1].path->queued_bytes() : 0;
}

// --- which path ------------------------------------------------------------------------------------------

void LinkLanes::stands(Path& path) {
  way(path) = {};
  way(path).good = loop_.now();
  for (Out& lane : out_) {
    if (lane.path == &path) lane.path = nullptr;  // its connections are others now
  }
  choose_all();
  if (numbered_ && watch_.value == 0) watch();
}

void LinkLanes::lost(Path& path) {
  for (const Lane lane : kLanes) {
    if (out(lane).path != &path) continue;
    out(lane).path = nullptr;
    choose(lane);
    if (out(lane).path == nullptr && owner_ != nullptr) return owner_->lanes_failed(path.last_error());
  }
}

void LinkLanes::choose_all() {
  for (const Lane lane : kLanes) choose(lane);
}

// The lower the better. A path that came back is left alone for a while: it may go again.
int LinkLanes::rank(const Path& path, Lane lane) {
  constexpr int kEach = 2 * kMaxPaths;
  const Way& as = way(path);
  const int place = path.number() + (lane == Lane::control && !path.settings().control_only ? kMaxPaths : 0);
  const bool settled = out(lane).path == nullptr || out(lane).path == &path || loop_.now() - as.good >= settings_.ping_int;
  return place + (as.doubtful ? 2 * kEach : settled ? 0 : kEach);
}

void LinkLanes::choose(Lane lane) {
  Path* best = nullptr;
  for (const auto& path : paths_) {
    if (path->has(lane) && (best == nullptr || rank(*path, lane) < rank(*best, lane))) best = path.get();
  }
  Out& to = out(lane);
  if (best == nullptr || best == to.path) return;
  Path* const before = std::exchange(to.path, best);
  to.since = loop_.now();
  if (!numbered_) return;
  Connection& connection = best->on(lane);
  connection.send(FrameType::position, encode(Position{to.sender.first()}));
  for (const KeptFrame& frame : to.sender.kept()) connection.send(frame);
  if (before == nullptr || !way(*before).doubtful || std::exchange(way(*before).told, true)) return;
  owner_->path_doubtful(*before, "nothing heard for " + std::to_string((loop_.now() - before->heard()).ns / 1'000'000) + " ms");
}

void LinkLanes::watch() {
  const Duration pause = std::max(settings_.ping_timeout / 4, milliseconds(10));
  watch_ = loop_.call_at(loop_.now() + pause, [this, self = shared_from_this()] {
    watch_ = {};
    for (const Lane lane : kLanes) {
      if (owner_ == nullptr) return;
      const Out& from = out(lane);
      if (from.path == nullptr || from.sender.kept().empty()) continue;
      look_at(*from.path, std::max(from.since, from.sender.kept().front().since));
    }
    for (const auto& path : paths_) {
      Way& as = way(*path);
      if (!as.doubtful || !path->standing() || path->heard() <= as.doubted) continue;
      as.doubtful = false;
      as.good = loop_.now();
    }
    if (owner_ == nullptr) return;
    choose_all();
    watch();
  });
}

// Something that was sent on this path waits for its acknowledgement since then.
void LinkLanes::look_at(Path& path, Instant waited_since) {
  const auto silent = [&] { return loop_.now() - std::max(waited_since, path.heard()) >= settings_.ping_timeout / 2; };
  if (way(path).doubtful || !silent()) return;
  path.on(Lane::control).read_now();  // it may have been us who slept
  if (owner_ == nullptr || !path.standing() || !silent()) return;
  way(path).doubtful = true;
  way(path).told = false;
  way(path).doubted = loop_.now();
}

// --- what goes out ---------------------------------------------------------------------------------------

bool LinkLanes::send(const Message& message, BufferRef payload) {
  const Lane lane = lane_of(message);
  Out& to = out(lane);
  CHECK(to.path != nullptr);  // nothing of the data lane goes to a witness
  Connection& connection = to.path->on(lane);
  const size_t held = numbered_ ? to.sender.bytes() : connection.queued_bytes();
  if (held + (payload ? payload->size() : 0) > settings_.max_queue_bytes) return false;
  if (!numbered_) {
    connection.send(message, std::move(payload));
    return true;
  }
  KeptFrame frame;
  frame.payload_bytes = payload_bytes_of(message);
  frame.since = loop_.now();
  if (frame.payload_bytes > 0) {
    CHECK(payload && payload->size() >= frame.payload_bytes);
    frame.payload = std::move(payload);
  }
  append_message_frame(frame.head, message,
                       frame.payload ? frame.payload->bytes().first(frame.payload_bytes) : std::span<const std::byte>());
  connection.send(to.sender.keep(std::move(frame)));
  return true;
}

void LinkLanes::acknowledge(Path& path) {
  acknowledge_on_ = &path;
  if (std::exchange(acknowledgement_due_, true)) return;
  loop_.defer([self = shared_from_this()] { self->send_acknowledgement(); });
}

void LinkLanes::send_acknowledgement() {
  acknowledgement_due_ = false;
  if (owner_ == nullptr) return;
  Path* const by = acknowledge_on_->standing() ? acknowledge_on_ : out(Lane::control).path;
  by->on(Lane::control).send(FrameType::received, encode(Received{in(Lane::control).expected(), in(Lane::data).expected()}));
}

// --- what comes in ---------------------------------------------------------------------------------------

void LinkLanes::frame(Path& path, Lane lane, Frame frame) {
  if (frame.is_message()) return message(path, lane, std::move(frame));
  if (numbered_ && frame.type == FrameType::received) return received(frame);
  const auto position = frame.type == FrameType::position ? decode_position(frame.body) : std::nullopt;
  if (!numbered_ || !position) return owner_->lanes_failed("a frame that has no place after the handshake");
  way(path).next[static_cast<size_t>(lane)] = position->next;
}

void LinkLanes::message(Path& path, Lane lane, Frame frame) {
  if (lane_of(frame.message) != lane) return owner_->lanes_failed("a message on the wrong lane");
  if (numbered_) {
    auto& next = way(path).next[static_cast<size_t>(lane)];
    if (!next) return owner_->lanes_failed("a message without a number");
    const LaneReceiver::Verdict verdict = in(lane).take((*next)++);
    if (verdict == LaneReceiver::Verdict::gap) return owner_->lanes_failed("a gap in the numbers of its messages");
    acknowledge(path);
    if (verdict == LaneReceiver::Verdict::again) return;
  }
  owner_->delivered(std::move(frame.message), std::move(frame.payload));
}

void LinkLanes::received(const Frame& frame) {
  const auto received = decode_received(frame.body);
  const bool possible =
      received && out(Lane::control).sender.received(received->control) && out(Lane::data).sender.received(received->data);
  if (!possible) owner_->lanes_failed("it has what was never sent to it");
}

}  // namespace lockstep
