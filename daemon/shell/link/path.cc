#include "shell/link/path.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

namespace lockstep {

namespace {

constexpr Duration kFirstPause = milliseconds(100);
constexpr Duration kStagger = milliseconds(300);  // so that a link is made by its first path, and the others join it
constexpr Duration kStable = seconds(1);          // a path that lasted so long begins the back-off anew

DialSettings dial_settings(const LinkSettings& settings, const PeerSettings& peer, uint8_t number) {
  DialSettings dial;
  dial.resource = settings.resource;
  dial.self = settings.self;
  dial.peer = peer.seat;
  dial.peer_name = peer.name;
  dial.path = peer.paths[number];
  dial.path_number = number;
  dial.deadline = settings.handshake_timeout;
  dial.versions = settings.versions;
  dial.features = settings.features;
  dial.tls = settings.tls;
  return dial;
}

// Doubles with each failure up to `longest`, and varies by a quarter, so that nodes which lost a peer
// together do not knock at its door together.
Duration pause_after(int failures, Duration longest) {
  const Duration pause = std::min(kFirstPause * (int64_t{1} << std::min(failures, 20)), longest);
  return pause * static_cast<int64_t>(75 + randombytes_uniform(51)) / 100;
}

int milliseconds_of(Duration duration) { return static_cast<int>(duration.ns / 1'000'000); }

}  // namespace

Path::Path(EventLoop& loop, BufferPool& pool, const LinkSettings& settings, const PeerSettings& peer, uint8_t number,
           const LinkKeys& keys, PathOwner& owner)
    : loop_(loop),
      pool_(pool),
      settings_(settings),
      peer_(peer.seat),
      path_(peer.paths[number]),
      number_(number),
      owner_(owner),
      dialer_(loop, dial_settings(settings, peer, number), keys, [this](DialResult result) { dialed(std::move(result)); }) {}

Path::~Path() { stop(); }

std::string Path::name() const { return to_text(path_.local) + " - " + to_text(path_.where); }

size_t Path::queued_bytes() const {
  if (!up_) return 0;
  return up_->control->queued_bytes() + (up_->data ? up_->data->queued_bytes() : 0);
}

// --- getting there ---------------------------------------------------------------------------------------

void Path::start() {
  if (!dials() || up_ || dialer_.dialing()) return;
  // Who waits for us would never learn from our silence that it is an operator's turn here.
  if (owner_.stand_alone()) return dialer_.excuse();
  const Greeting greeting = owner_.greeting();
  // Where there is no link there is nothing yet that the control lane alone could join.
  if (path_.control_only && !greeting.joins) return;
  dialer_.dial(greeting);
}

void Path::retry() {
  if (up_) return;
  stop_dialing();
  failures_ = 0;
  number_ == 0 || owner_.stand_alone() || owner_.greeting().joins ? start() : dial_later();
}

void Path::stop_dialing() {
  dialer_.cancel();
  if (redial_.value != 0) loop_.cancel(redial_);
  redial_ = {};
}

void Path::dial_later() {
  if (!dials() || redial_.value != 0) return;
  const Duration in_turn = owner_.greeting().joins ? Duration{} : kStagger * number_;
  redial_ = loop_.call_at(loop_.now() + pause_after(failures_++, settings_.connect_int) + in_turn, [this] {
    redial_ = {};
    start();
  });
}

void Path::dialed(DialResult result) {
  if (result.control) {
    return take({std::move(result.control), std::move(result.data), result.negotiated, loop_.now(), false, {}, {}},
                dialer_.greeting());
  }
  dial_later();
  if (owner_.stand_alone()) return;  // it was told, or could not be
  last_error_ = result.failure;
  owner_.path_failed(*this, result);
}

void Path::drop_half() {
  if (!half_) return;
  loop_.cancel(half_->deadline);
  if (half_->control) half_->control->close();
  if (half_->data) half_->data->close();
  half_.reset();
}

void Path::offer(HandshakeResult result) {
  if (owner_.stand_alone()) return result.connection->close();
  if (half_ && half_->pairing != result.hello.pairing) drop_half();  // of an attempt that was given up
  if (!half_) {
    half_.emplace();
    half_->pairing = result.hello.pairing;
    half_->deadline = loop_.call_at(loop_.now() + settings_.handshake_timeout, [this] { drop_half(); });
  }
  auto& lane = result.hello.lane == Lane::data ? half_->data : half_->control;
  if (lane) lane->close();
  lane = std::move(result.connection);
  if (!half_->control || (!half_->data && !result.hello.control_only)) return;
  loop_.cancel(half_->deadline);
  Half both = std::move(*half_);
  half_.reset();
  take({std::move(both.control), std::move(both.data), result.negotiated, loop_.now(), false, {}, {}},
       {result.hello.session, result.hello.joins});
}

void Path::take(Up pair, const Greeting& greeting) {
  const bool open = pair.control->is_open() && (!pair.data || pair.data->is_open());
  const bool whole = pair.data || path_.control_only || peer_.is_witness();  // the configuration may have changed meanwhile
  if (!open || !whole || !owner_.path_proved(*this, greeting, pair.negotiated)) {
    pair.control->close();
    if (pair.data) pair.data->close();
    if (!up_) last_error_ = "closed after the handshake";
    return dial_later();
  }
  shut();  // the peer would not have come again if it still believed in the old connections
  pair.control->set_owner(*this);
  const int probe_seconds = static_cast<int>(settings_.ping_int.ns / 1'000'000'000);
  set_dead_peer_limits(pair.control->fd(), probe_seconds, milliseconds_of(settings_.ping_int + settings_.ping_timeout));
  if (pair.data) {
    pair.data->set_owner(*this);
    pair.data->set_pool(pool_);
    set_dead_peer_limits(pair.data->fd(), probe_seconds, milliseconds_of(settings_.timeout));
  }
  up_ = std::move(pair);
  last_error_.clear();
  arm_heartbeat();
  up_->control->resume();
  if (up_->data) up_->data->resume();
  owner_.path_stands(*this);
}

// --- being there -----------------------------------------------------------------------------------------

void Path::on_connected(Connection&) {}

void Path::on_closed(Connection& connection, const std::string& why) {
  if (up_) lose(&connection == up_->control.get() ? why : "data lane " + why);
}

void Path::on_frame(Connection& connection, Frame frame) {
  if (!up_) return;
  const bool is_control = &connection == up_->control.get();
  if (is_control) up_->ping_sent = false;
  if (frame.type == FrameType::ping) return connection.send(FrameType::pong, {});
  if (frame.type == FrameType::pong) return;
  owner_.path_frame(*this, is_control ? Lane::control : Lane::data, std::move(frame));
}

// Nothing received for ping-int: ask. Nothing for ping-timeout more: gone. The peer does the same, so a
// healthy path carries something every ping-int in both directions.
void Path::heartbeat() {
  const auto control = up_->control;
  const auto data = up_->data;
  const auto current = [&] { return up_ && up_->control == control; };
  const auto silence = [&] { return loop_.now() - control->last_received(); };
  const auto overdue = [&] { return up_->ping_sent && loop_.now() - up_->asked >= settings_.ping_timeout; };
  if (overdue()) control->read_now();  // it may have been us who slept
  if (!current()) return;
  if (overdue()) {
    return lose("no answer to a ping (ping-timeout): nothing heard for " + std::to_string(milliseconds_of(silence())) + " ms");
  }
  const bool stuck = is_stuck(*control) || (data && is_stuck(*data));
  if (!current()) return;
  if (stuck) return lose("takes no data (timeout)");
  if (silence() >= settings_.ping_int) ask();
  arm_heartbeat();
}

void Path::ask() {
  if (std::exchange(up_->ping_sent, true)) return;
  up_->asked = loop_.now();
  up_->control->send(FrameType::ping, {});
}

void Path::probe() {
  if (!up_) return;
  ask();
  loop_.cancel(up_->heartbeat);
  arm_heartbeat();
}

bool Path::is_stuck(Connection& connection) const {
  const auto overdue = [&] {
    return connection.queued_bytes() > 0 && loop_.now() - connection.last_progress() >= settings_.timeout;
  };
  if (overdue()) connection.flush_now();  // it may have been us who slept
  return overdue();
}

void Path::arm_heartbeat() {
  Instant next = up_->ping_sent ? up_->asked + settings_.ping_timeout : up_->control->last_received() + settings_.ping_int;
  next = std::min(next, loop_.now() + settings_.timeout / 4);
  next = std::max(next, loop_.now() + milliseconds(1));
  up_->heartbeat = loop_.call_at(next, [this] {
    up_->heartbeat = {};
    heartbeat();
  });
}

// --- going -----------------------------------------------------------------------------------------------

void Path::shut() {
  if (!up_) return;
  Up was = std::move(*up_);
  up_.reset();
  if (was.heartbeat.value != 0) loop_.cancel(was.heartbeat);
  was.control->close();
  if (was.data) was.data->close();
  loop_.defer([control = was.control, data = was.data] {});  // one of them may be on the stack
  if (loop_.now() - was.since >= kStable) failures_ = 0;
}

// A half stays: it may be of the peer's next link.
void Path::close(const std::string& why) {
  if (up_) last_error_ = why;
  shut();
  dialer_.cancel();                 // it was for the link that is over
  if (number_ > 0) stop_dialing();  // in turn again
  dial_later();
}

void Path::stop() {
  shut();
  stop_dialing();
  drop_half();
}

void Path::lose(const std::string& why) {
  if (!up_) return;
  shut();
  last_error_ = why;
  owner_.path_lost(*this, why);
  if (!up_) dial_later();
}

}  // namespace lockstep
