#include "shell/link/dialer.h"

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/check.h"

namespace lockstep {

Dialer::Dialer(EventLoop& loop, DialSettings settings, const LinkKeys& keys, Done done)
    : loop_(loop), settings_(std::move(settings)), keys_(keys), done_(std::move(done)), resolver_(loop) {}

Dialer::~Dialer() {
  *alive_ = false;
  cancel();
}

void Dialer::cancel() {
  dialing_ = false;
  resolver_.cancel();
  if (resolve_timer_.value != 0) loop_.cancel(resolve_timer_);
  resolve_timer_ = {};
  for (LaneAttempt& lane : lanes_) {
    if (lane.ready) lane.ready->close();
    // A handshake that reported to us is still on the stack below us.
    if (lane.handshake) loop_.defer([keep = lane.handshake] {});
    lane = {};
  }
}

void Dialer::dial(const Greeting& greeting) {
  excuse_ = false;
  greeting_ = greeting;
  begin();
}

void Dialer::excuse() {
  excuse_ = true;
  greeting_ = {};
  begin();
}

void Dialer::begin() {
  CHECK(!dialing_);
  dialing_ = true;
  ++attempts_;
  resolve_timer_ = loop_.call_at(loop_.now() + settings_.deadline, [this] {
    resolve_timer_ = {};
    fail(settings_.peer_name + ": the name server does not answer");
  });
  resolver_.resolve(settings_.path.where, [this](std::vector<SocketAddress> addresses) { resolved(std::move(addresses)); });
}

void Dialer::resolved(std::vector<SocketAddress> addresses) {
  loop_.cancel(resolve_timer_);
  resolve_timer_ = {};
  if (addresses.empty()) return fail(settings_.peer_name + ": no address for " + settings_.path.where.host);
  const SocketAddress& address = addresses[attempts_ % addresses.size()];
  const Uuid pairing = draw_uuid();
  if (!connect_lane(Lane::control, address, pairing)) return;
  if (!one_lane() && !excuse_) connect_lane(Lane::data, address, pairing);
}

// A name is not looked up for it, and an address of the other family says nothing: the system chooses then.
bool Dialer::bind_source(int fd, const SocketAddress& to) {
  if (!settings_.path.bind || settings_.path.local.host.empty()) return true;
  const auto from = resolve_now({settings_.path.local.host, "0"}, true);
  if (from.empty() || from.front().storage.ss_family != to.storage.ss_family) return true;
  return ::bind(fd, from.front().get(), from.front().length) == 0;
}

bool Dialer::connect_lane(Lane lane, const SocketAddress& address, const Uuid& pairing) {
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (fd.ok() && !bind_source(fd.get(), address)) {
    fail("cannot call from " + settings_.path.local.host + ": " + std::strerror(errno));
    return false;
  }
  if (!fd.ok() || (::connect(fd.get(), address.get(), address.length) != 0 && errno != EINPROGRESS)) {
    fail(settings_.peer_name + ": connect: " + std::strerror(errno));
    return false;
  }
  Hello hello;
  hello.versions = settings_.versions;
  hello.features = settings_.features;
  hello.resource = settings_.resource;
  hello.from = settings_.self;
  hello.to = settings_.peer;
  hello.lane = lane;
  hello.pairing = pairing;
  hello.nonce = draw_nonce();
  hello.session = greeting_.session;
  hello.joins = greeting_.joins;
  hello.path = settings_.path_number;
  hello.control_only = settings_.path.control_only;
  const auto kind = to_witness() ? ResponderKind::witness : ResponderKind::data_node;
  const auto instead = excuse_ ? std::optional(Refusal{RefusalCode::stand_alone, ""}) : std::nullopt;
  Handshaking::Secure secure;
  if (settings_.tls) secure = {settings_.tls->current(), {settings_.peer_name, settings_.path.where.host}};
  attempt(lane).handshake = std::make_shared<Handshaking>(
      loop_, std::move(fd), settings_.peer_name, Initiator(hello, kind, keys_, instead), settings_.deadline,
      [this, lane](Handshaking&, HandshakeResult result) { lane_done(lane, std::move(result)); }, std::move(secure));
  return true;
}

void Dialer::lane_done(Lane lane, HandshakeResult result) {
  if (!result.connection) {
    DialResult failed;
    failed.failure = result.failure;
    failed.refused = result.refused;
    failed.code = result.code;
    failed.stand_alone = result.stand_alone;
    return finish(std::move(failed));
  }
  negotiated_ = result.negotiated;
  attempt(lane).ready = std::move(result.connection);
  if (!attempt(Lane::control).ready || (!one_lane() && !attempt(Lane::data).ready)) return;
  DialResult both;
  both.control = std::exchange(attempt(Lane::control).ready, nullptr);
  both.data = std::exchange(attempt(Lane::data).ready, nullptr);
  both.negotiated = negotiated_;
  finish(std::move(both));
}

void Dialer::fail(const std::string& why) {
  DialResult result;
  result.failure = why;
  finish(std::move(result));
}

void Dialer::finish(DialResult result) {
  cancel();
  result.greeting = greeting_;
  dialing_ = true;  // until reported
  loop_.defer([this, alive = alive_, attempt = attempts_, result = std::move(result)]() mutable {
    const bool current = *alive && dialing_ && attempt == attempts_;
    if (!current) {  // given up meanwhile
      if (result.control) result.control->close();
      if (result.data) result.data->close();
      return;
    }
    dialing_ = false;
    done_(std::move(result));
  });
}

}  // namespace lockstep
