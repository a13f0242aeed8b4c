#include "shell/link/handshaking.h"

#include <utility>

namespace lockstep {

Handshaking::Handshaking(EventLoop& loop, UniqueFd fd, std::string peer, Initiator machine, Duration deadline, Done done,
                         Secure secure)
    : loop_(loop), peer_(std::move(peer)), machine_(std::move(machine)), done_(std::move(done)) {
  begin(std::move(fd), true, deadline, std::move(secure));
}

Handshaking::Handshaking(EventLoop& loop, UniqueFd fd, std::string peer, Responder machine, Duration deadline, Done done,
                         Secure secure)
    : loop_(loop), peer_(std::move(peer)), machine_(std::move(machine)), done_(std::move(done)) {
  begin(std::move(fd), false, deadline, std::move(secure));
}

Handshaking::~Handshaking() {
  if (timer_.value != 0) loop_.cancel(timer_);
  if (connection_) connection_->close();
}

void Handshaking::begin(UniqueFd fd, bool connecting, Duration deadline, Secure secure) {
  connection_ = Connection::create(loop_, std::move(fd), *this, connecting);
  if (secure.keys) connection_->secure(std::move(secure.keys), std::move(secure.expected));
  timer_ = loop_.call_at(loop_.now() + deadline, [this] {
    timer_ = {};
    fail("no answer within the time for the handshake");
  });
}

Hello Handshaking::hello() const {
  const auto* responder = std::get_if<Responder>(&machine_);
  return responder != nullptr ? responder->hello() : Hello{};
}

void Handshaking::bind_channel(const Connection& connection) {
  if (std::exchange(bound_, true) || !connection.is_secure()) return;
  if (auto* initiator = std::get_if<Initiator>(&machine_)) return initiator->bind(connection.channel());
  std::get<Responder>(machine_).bind(
      connection.channel(), [this](const std::string& name) { return connection_ && connection_->is_certified_for(name); });
}

void Handshaking::on_connected(Connection& connection) { connection.send_frame(std::get<Initiator>(machine_).first_frame()); }

void Handshaking::on_frame(Connection& connection, Frame frame) {
  heard_ = true;
  bind_channel(connection);
  auto step = std::visit([&frame](auto& machine) { return machine.step(frame); }, machine_);
  connection.send_frame(std::move(step.reply));
  switch (step.outcome) {
    case HandshakeStep::Outcome::going_on:
      return;
    case HandshakeStep::Outcome::done: {
      connection.pause();
      connection.leave_owner();
      HandshakeResult result;
      result.connection = std::move(connection_);
      result.hello = hello();
      result.negotiated = std::visit([](const auto& machine) { return machine.negotiated(); }, machine_);
      return finish(std::move(result));
    }
    case HandshakeStep::Outcome::failed:
      connection.close_after_flush();
      return refuse(step);
  }
}

// Where TLS does not come to stand, one end has turned the other away, or only one of them has TLS at all.
void Handshaking::on_closed(Connection& connection, const std::string& why) {
  HandshakeResult result;
  result.refused = connection.tls_failed();
  // A side with TLS has nothing to say to one without that this one could read.
  const bool hung_up = !heard_ && !connection.is_secure() && !why.starts_with("connect:");
  result.failure = peer_ + ": " + why + (hung_up ? " before it said anything (if it has tls yes, so must this node)" : "");
  end(std::move(result));
}

void Handshaking::fail(const std::string& why) {
  HandshakeResult result;
  result.failure = why;
  end(std::move(result));
}

void Handshaking::refuse(const HandshakeStep& step) {
  HandshakeResult result;
  result.failure = (step.by_peer ? peer_ + " refused: " : "refused " + peer_ + ": ") + text_of(step.refusal.code);
  if (!step.refusal.text.empty()) result.failure += " (" + step.refusal.text + ")";
  result.refused = true;
  result.code = step.refusal.code;
  result.stand_alone = step.by_peer && step.refusal.code == RefusalCode::stand_alone;
  end(std::move(result));
}

void Handshaking::end(HandshakeResult result) {
  result.hello = hello();
  if (connection_) connection_->close();
  finish(std::move(result));
}

void Handshaking::finish(HandshakeResult result) {
  if (timer_.value != 0) loop_.cancel(timer_);
  timer_ = {};
  const auto done = std::exchange(done_, nullptr);  // may destroy this object
  if (done) done(*this, std::move(result));
}

}  // namespace lockstep
