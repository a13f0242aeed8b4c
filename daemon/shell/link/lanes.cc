#include "shell/link/lanes.h"

#include <algorithm>
#include <utility>

#include "base/check.h"
#include "wire/message_codec.h"

namespace lockstep {

namespace {

constexpr Duration kLongestPause = seconds(60);

std::string milliseconds_text(Duration duration) { return std::to_string(duration.ns / 1'000'000) + " ms"; }

}  // namespace

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
  for (const Out& lane : out_) {
    if (lane.path != nullptr) return lane.path->queued_bytes();
  }
  return 0;
}

// --- which path ------------------------------------------------------------------------------------------

void LinkLanes::stands(Path& path) {
  for (const Lane lane : kLanes) {
    Way& as = way(path, lane);
    const bool remembered = as.pause.ns > 0 && loop_.now() - as.shunned < kLongestPause;
    as = {std::nullopt, std::nullopt, loop_.now(), loop_.now(), loop_.now(), remembered ? as.pause : Duration{}};
    as.shunned = loop_.now() + as.pause;                    // new connections do not mend what swallows large frames, say
    if (out(lane).path == &path) out(lane).path = nullptr;  // its connections are others now
  }
  if (numbered_ && watch_.value == 0) watch();
  choose_all();
}

void LinkLanes::lost(Path& path) {
  for (const Lane lane : kLanes) {
    if (out(lane).path != &path) continue;
    out(lane).path = nullptr;
    if (numbered_) choose(lane);
    if (out(lane).path != nullptr) continue;
    const char* what = lane == Lane::data ? "no path for data is left: " : "no path is left: ";
    return owner_->lanes_failed((paths_.size() > 1 ? what : "") + path.last_error());
  }
  tell();
}

void LinkLanes::choose_all() {
  for (const Lane lane : kLanes) choose(lane);
  tell();
}

bool LinkLanes::doubtful(const Path& path, Lane lane) {
  const Way& as = way(path, lane);
  return as.pause.ns > 0 && (loop_.now() < as.shunned || path.heard() <= as.doubted);
}

// In the order of preference, which is the same at both ends.
int LinkLanes::place_of(const Path& path, Lane lane) {
  return path.number() + (lane == Lane::control && !path.settings().control_only ? kMaxPaths : 0);
}

// The lower the better. A path that came back is left alone for a while: it may go again.
int LinkLanes::rank(const Path& path, Lane lane) {
  constexpr int kEach = 2 * kMaxPaths;
  const int place = place_of(path, lane);
  if (out(lane).path == &path) return place + (doubtful(path, lane) ? 2 * kEach : 0);
  if (doubtful(path, lane)) return place + 4 * kEach;  // never from one that is doubtful to another
  return place + (out(lane).path == nullptr || loop_.now() - way(path, lane).good >= settings_.ping_int ? 0 : kEach);
}

void LinkLanes::choose(Lane lane) {
  Path* best = nullptr;
  for (const auto& path : paths_) {
    if (path->has(lane) && (best == nullptr || rank(*path, lane) < rank(*best, lane))) best = path.get();
  }
  Out& to = out(lane);
  if (best == nullptr || best == to.path) return;
  Path* const before = std::exchange(to.path, best);
  to.progress = loop_.now();
  if (!numbered_) return;
  catch_up(lane);
  if (before != nullptr && doubtful(*before, lane))
    moved_.push_back(
        {before, false, "nothing acknowledged, nothing heard for " + milliseconds_text(loop_.now() - before->heard())});
  if (way(*best, lane).pause.ns > 0 && !doubtful(*best, lane)) moved_.push_back({best, true, ""});
}

// Queues what the other end may lack and this connection has not had yet.
void LinkLanes::catch_up(Lane lane) {
  Out& to = out(lane);
  auto& next = way(*to.path, lane).next_out;
  Connection& connection = to.path->on(lane);
  if (!next || *next < to.sender.first()) {
    next = to.sender.first();
    connection.send(FrameType::position, encode(Position{*next}));
  }
  for (; *next < to.sender.next(); ++*next) connection.send(to.sender.at(*next));
}

void LinkLanes::tell() {
  const Path* told = nullptr;  // of a path that both lanes leave once
  for (const Moved& moved : std::exchange(moved_, {})) {
    if (owner_ != nullptr && moved.path != told) owner_->lane_moved(*moved.path, moved.back, moved.why);
    told = moved.path;
  }
}

// --- doubt -----------------------------------------------------------------------------------------------

void LinkLanes::watch() {
  const Duration pause = std::max(settings_.ping_timeout / 4, milliseconds(10));
  watch_ = loop_.call_at(loop_.now() + pause, [this, self = shared_from_this()] {
    watch_ = {};
    for (const Lane lane : kLanes) {
      if (owner_ != nullptr) look_at(lane);
    }
    if (owner_ != nullptr) choose_all();
    if (owner_ != nullptr && watch_.value == 0) watch();
  });
}

void LinkLanes::look_at(Lane lane) {
  Path* const path = out(lane).path;
  enum class Finding : uint8_t { well, stuck, silent };
  const auto look = [&] {
    const Out& to = out(lane);
    if (to.path != path || path == nullptr || to.sender.first() == to.sender.next() || doubtful(*path, lane))
      return Finding::well;
    const Instant since = std::max(to.progress, to.sender.at(to.sender.first()).since);
    if (loop_.now() - std::max(since, path->heard()) >= settings_.ping_timeout / 2) return Finding::silent;
    return loop_.now() - since >= settings_.timeout / 3 ? Finding::stuck : Finding::well;
  };
  if (look() == Finding::well) return;
  path->on(Lane::control).read_now();  // it may have been us who slept
  const Finding found = owner_ != nullptr ? look() : Finding::well;
  for (const Lane each : kLanes) {  // silence is the path's
    if (found == Finding::silent || (found == Finding::stuck && each == lane)) doubt(*path, each);
  }
}

void LinkLanes::doubt(Path& path, Lane lane) {
  Way& as = way(path, lane);
  const bool again = as.pause.ns > 0 && loop_.now() - as.shunned < as.pause;
  as.pause = again ? std::min(as.pause * 2, kLongestPause) : settings_.ping_int;
  as.doubted = loop_.now();
  as.shunned = as.doubted + as.pause;
}

// --- what goes out ---------------------------------------------------------------------------------------

bool LinkLanes::send(const Message& message, BufferRef payload) {
  const Lane lane = lane_of(message);
  Out& to = out(lane);
  CHECK(to.path != nullptr);  // nothing of the data lane goes to a witness
  const size_t held = numbered_ ? to.sender.bytes() : to.path->on(lane).queued_bytes();
  if (held + (payload ? payload->size() : 0) > settings_.max_queue_bytes) return false;
  if (!numbered_) {
    to.path->on(lane).send(message, std::move(payload));
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
  to.sender.keep(std::move(frame));
  catch_up(lane);
  return true;
}

void LinkLanes::acknowledge(Path& path) {
  if (std::find(acknowledge_.begin(), acknowledge_.end(), &path) != acknowledge_.end()) return;
  acknowledge_.push_back(&path);
  if (acknowledge_.size() == 1) loop_.defer([self = shared_from_this()] { self->send_acknowledgements(); });
}

void LinkLanes::send_acknowledgements() {
  const auto paths = std::exchange(acknowledge_, {});
  if (owner_ == nullptr) return;
  const auto body = encode(Received{in(Lane::control).expected(), in(Lane::data).expected()});
  bool said = false;
  for (Path* const path : paths) {
    if (!path->standing()) continue;
    path->on(Lane::control).send(FrameType::received, body);
    said = true;
  }
  if (!said) out(Lane::control).path->on(Lane::control).send(FrameType::received, body);
}

// --- what comes in ---------------------------------------------------------------------------------------

void LinkLanes::frame(Path& path, Lane lane, Frame frame) {
  if (frame.is_message()) return message(path, lane, std::move(frame));
  if (numbered_ && frame.type == FrameType::received) return received(frame);
  const auto position = frame.type == FrameType::position ? decode_position(frame.body) : std::nullopt;
  if (!numbered_ || !position) return owner_->lanes_failed("a frame that has no place after the handshake");
  if (position->next > in(lane).expected()) return owner_->lanes_failed("a gap in the numbers of its messages");
  way(path, lane).next_in = position->next;
  follow(path, lane);
}

// The other end has moved this lane here. If this is not where it would rather be, it has a reason, which may be one here too.
void LinkLanes::follow(const Path& path, Lane lane) {
  Path* const used = out(lane).path;
  if (used == &path || place_of(path, lane) < place_of(*used, lane) || doubtful(*used, lane)) return;
  if (loop_.now() - used->heard() >= settings_.ping_timeout / 4) doubt(*used, lane);
  choose_all();
}

void LinkLanes::message(Path& path, Lane lane, Frame frame) {
  if (lane_of(frame.message) != lane) return owner_->lanes_failed("a message on the wrong lane");
  if (numbered_) {
    auto& next = way(path, lane).next_in;
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
      received && received->control <= out(Lane::control).sender.next() && received->data <= out(Lane::data).sender.next();
  if (!possible) return owner_->lanes_failed("it has what was never sent to it");
  acknowledged(Lane::control, received->control);
  acknowledged(Lane::data, received->data);
}

void LinkLanes::acknowledged(Lane lane, uint64_t next) {
  LaneSender& sender = out(lane).sender;
  if (next <= sender.first()) return;
  sender.received(next);
  out(lane).progress = loop_.now();
}

}  // namespace lockstep
