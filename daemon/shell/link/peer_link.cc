#include "shell/link/peer_link.h"

#include <sodium.h>

#include <algorithm>
#include <utility>

#include "base/check.h"

namespace lockstep {

namespace {

constexpr Duration kFirstPause = milliseconds(100);
constexpr Duration kRefusalHolds = seconds(30);  // at least; who is refused comes again sooner, or is gone
constexpr Duration kStable = seconds(1);         // a link that lasted so long begins the back-off anew

DialSettings dial_settings(const LinkSettings& settings, const PeerSettings& peer) {
  DialSettings dial;
  dial.resource = settings.resource;
  dial.self = settings.self;
  dial.peer = peer.seat;
  dial.peer_name = peer.name;
  dial.where = peer.where;
  dial.deadline = settings.handshake_timeout;
  dial.versions = settings.versions;
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

const char* name_of(LinkState state) {
  switch (state) {
    case LinkState::stand_alone:
      return "StandAlone";
    case LinkState::connecting:
      return "Connecting";
    case LinkState::connected:
      return "Connected";
  }
  UNREACHABLE("LinkState");
}

PeerLink::PeerLink(EventLoop& loop, BufferPool& pool, const LinkSettings& settings, const PeerSettings& peer,
                   const LinkKeys& keys, LinkOwner& owner, std::function<LinkId()> draw_id)
    : loop_(loop),
      pool_(pool),
      settings_(settings),
      peer_(peer),
      owner_(owner),
      draw_id_(std::move(draw_id)),
      dialer_(loop, dial_settings(settings, peer), keys, [this](DialResult result) { dialed(std::move(result)); }) {}

PeerLink::~PeerLink() {
  *alive_ = false;
  stop_dialing();
  drop_half();
  if (!up_) return;
  loop_.cancel(up_->heartbeat);
  up_->control->close();
  if (up_->data) up_->data->close();
}

LinkStatus PeerLink::status() const {
  LinkStatus status;
  status.last_error = last_error_;
  const Duration holds = std::max(kRefusalHolds, settings_.connect_int * 3);
  if (!up_ && !stand_alone_ && loop_.now() - refused_at_ < holds) status.refusal = last_refusal_;
  status.state = stand_alone_ ? LinkState::stand_alone : LinkState::connecting;
  if (up_) {
    status.state = LinkState::connected;
    status.link = up_->id;
    status.negotiated = up_->negotiated;
    status.queued_bytes = up_->control->queued_bytes() + (up_->data ? up_->data->queued_bytes() : 0);
  }
  return status;
}

// --- getting there ---------------------------------------------------------------------------------------

void PeerLink::start() {
  if (!dials() || up_ || dialer_.dialing()) return;
  // Who waits for us would never learn from our silence that it is an operator's turn here.
  stand_alone_ ? dialer_.excuse() : dialer_.dial();
}

void PeerLink::stop_dialing() {
  dialer_.cancel();
  if (redial_.value != 0) loop_.cancel(redial_);
  redial_ = {};
}

void PeerLink::dial_later() {
  if (!dials() || redial_.value != 0) return;
  redial_ = loop_.call_at(loop_.now() + pause_after(failures_++, settings_.connect_int), [this] {
    redial_ = {};
    start();
  });
}

void PeerLink::dialed(DialResult result) {
  if (result.control) return go_up(std::move(result.control), std::move(result.data), result.negotiated);
  dial_later();
  if (stand_alone_) return;  // it was told, or could not be
  last_error_ = result.failure;
  if (result.refused) return report_refusal(result.failure, result.stand_alone);
  refused_at_ = kLongAgo;  // there is another reason now
}

void PeerLink::report_refusal(std::string why, bool stand_alone) {
  if (stand_alone && up_) return;  // a stranger's word, or an old one
  if (stand_alone)
    why = peer_.name + " is StandAlone towards this node: lockstep connect " + settings_.name + " on " + peer_.name;
  last_error_ = why;
  refused_at_ = loop_.now();
  if (std::exchange(last_refusal_, why) != why) owner_.refused(peer_.seat, why);
}

void PeerLink::drop_half() {
  if (!half_) return;
  loop_.cancel(half_->deadline);
  if (half_->control) half_->control->close();
  if (half_->data) half_->data->close();
  half_.reset();
}

void PeerLink::offer(HandshakeResult result) {
  if (stand_alone_) return result.connection->close();
  if (half_ && half_->pairing != result.hello.pairing) drop_half();  // of an attempt that was given up
  if (!half_) {
    half_.emplace();
    half_->pairing = result.hello.pairing;
    half_->deadline = loop_.call_at(loop_.now() + settings_.handshake_timeout, [this] { drop_half(); });
  }
  auto& lane = result.hello.lane == Lane::data ? half_->data : half_->control;
  if (lane) lane->close();
  lane = std::move(result.connection);
  if (!half_->control || !half_->data) return;
  loop_.cancel(half_->deadline);
  Half both = std::move(*half_);
  half_.reset();
  go_up(std::move(both.control), std::move(both.data), result.negotiated);
}

void PeerLink::go_up(std::shared_ptr<Connection> control, std::shared_ptr<Connection> data, Negotiated negotiated) {
  // The peer would not have come again if it still believed in the old link.
  take_down("replaced by a new connection of the peer");
  tell_down();
  if (stand_alone_ || !control->is_open() || (data && !data->is_open())) {
    control->close();
    if (data) data->close();
    last_error_ = "closed by the peer after the handshake";
    return dial_later();
  }
  control->set_owner(*this);
  const int probe_seconds = static_cast<int>(settings_.ping_int.ns / 1'000'000'000);
  set_dead_peer_limits(control->fd(), probe_seconds, milliseconds_of(settings_.ping_int + settings_.ping_timeout));
  if (data) {
    data->set_owner(*this);
    data->set_pool(pool_);
    set_dead_peer_limits(data->fd(), probe_seconds, milliseconds_of(settings_.timeout));
  }
  const LinkId id = draw_id_();
  up_ = Up{id, std::move(control), std::move(data), negotiated, loop_.now(), false, {}};
  last_error_.clear();
  last_refusal_.clear();
  arm_heartbeat();
  up_->control->resume();
  if (up_->data) up_->data->resume();
  owner_.link_up(peer_.seat, id);
}

// --- being there -----------------------------------------------------------------------------------------

void PeerLink::on_connected(Connection&) {}

void PeerLink::on_closed(Connection& connection, const std::string& why) {
  if (!up_) return;
  take_down(&connection == up_->control.get() ? why : "data lane " + why);
}

void PeerLink::on_frame(Connection& connection, Frame frame) {
  if (!up_) return;
  const bool is_control = &connection == up_->control.get();
  if (is_control) up_->ping_sent = false;
  if (!frame.is_message()) return on_transport_frame(connection, frame);
  if ((lane_of(frame.message) == Lane::control) != is_control) return take_down("a message on the wrong lane");
  owner_.message(peer_.seat, up_->id, std::move(frame.message), std::move(frame.payload));
}

void PeerLink::on_transport_frame(Connection& connection, const Frame& frame) {
  if (frame.type == FrameType::ping) return connection.send(FrameType::pong, {});
  if (frame.type == FrameType::pong) return;
  if (frame.type == FrameType::refusal) {  // the initiator does not believe our proof
    const auto refusal = decode_refusal(frame.body);
    const std::string why = peer_.name + " refused: " + (refusal ? text_of(refusal->code) : "malformed refusal") +
                            (refusal && !refusal->text.empty() ? " (" + refusal->text + ")" : "");
    take_down(why);
    return report_refusal(why);
  }
  take_down("a frame of the handshake after its end");
}

// Nothing received for ping-int: ask. Nothing for ping-timeout more: gone. The peer does the same, so a
// healthy link carries something every ping-int in both directions.
void PeerLink::heartbeat() {
  const Duration limit = settings_.ping_int + settings_.ping_timeout;
  const auto control = up_->control;
  const LinkId id = up_->id;
  if (loop_.now() - control->last_received() >= limit) control->read_now();  // it may have been us who slept
  if (!up_ || up_->id != id) return;
  const Duration silence = loop_.now() - control->last_received();
  if (silence >= limit) {
    return take_down("no answer to a ping (ping-timeout): nothing heard for " + std::to_string(milliseconds_of(silence)) + " ms");
  }
  if (is_stuck(*control) || (up_->data && is_stuck(*up_->data))) return take_down("takes no data (timeout)");
  if (!up_) return;
  if (silence >= settings_.ping_int && !up_->ping_sent) {
    up_->ping_sent = true;
    control->send(FrameType::ping, {});
  }
  arm_heartbeat();
}

bool PeerLink::is_stuck(Connection& connection) const {
  const auto overdue = [&] {
    return connection.queued_bytes() > 0 && loop_.now() - connection.last_progress() >= settings_.timeout;
  };
  if (overdue()) connection.flush_now();  // it may have been us who slept
  return overdue();
}

void PeerLink::arm_heartbeat() {
  const Instant heard = up_->control->last_received();
  Instant next = heard + settings_.ping_int + (up_->ping_sent ? settings_.ping_timeout : Duration{});
  next = std::min(next, loop_.now() + settings_.timeout / 4);
  next = std::max(next, loop_.now() + milliseconds(1));
  up_->heartbeat = loop_.call_at(next, [this] {
    up_->heartbeat = {};
    heartbeat();
  });
}

bool PeerLink::send(LinkId link, const Message& message, BufferRef payload) {
  if (!up_ || up_->id != link) return false;
  const bool on_data = lane_of(message) == Lane::data;
  CHECK(!on_data || up_->data);  // nothing of the data lane goes to a witness
  Connection& connection = on_data ? *up_->data : *up_->control;
  const size_t bytes = payload ? payload->size() : 0;
  if (connection.queued_bytes() + bytes > settings_.max_queue_bytes) {
    take_down("the send queue is full");
    return false;
  }
  connection.send(message, std::move(payload));
  return true;
}

// --- going -----------------------------------------------------------------------------------------------

void PeerLink::take_down(const std::string& why) {
  if (!up_) return;
  Up was = std::move(*up_);
  up_.reset();
  if (was.heartbeat.value != 0) loop_.cancel(was.heartbeat);
  was.control->close();
  if (was.data) was.data->close();
  loop_.defer([control = was.control, data = was.data] {});  // one of them may be on the stack
  if (loop_.now() - was.since >= kStable) failures_ = 0;
  last_error_ = why;
  down_ = Down{was.id, why};
  loop_.defer([this, alive = alive_] {
    if (*alive) tell_down();
  });
  dial_later();
}

void PeerLink::tell_down() {
  if (!down_) return;
  const Down down = *std::exchange(down_, std::nullopt);
  owner_.link_down(peer_.seat, down.id, down.why);
}

void PeerLink::close(LinkId link, const std::string& why) {
  if (up_ && up_->id == link) take_down(why);
}

void PeerLink::set_stand_alone(const std::string& why) {
  stand_alone_ = true;
  take_down(why);
  stop_dialing();
  drop_half();
  last_error_ = why;
  failures_ = 0;
  dial_later();
}

void PeerLink::leave(const std::string& why) {
  set_stand_alone(why);
  stop_dialing();
  tell_down();
}

void PeerLink::connect() {
  if (!stand_alone_) return;
  stand_alone_ = false;
  stop_dialing();  // which was only to say that we do not come
  failures_ = 0;
  last_error_.clear();
  last_refusal_.clear();
  start();
}

}  // namespace lockstep
