#include "shell/link/handshaking.h"

#include <utility>

namespace lockstep {

Handshaking::Handshaking(EventLoop& loop, UniqueFd fd, std::string peer, Initiator machine, Duration deadline, Done done)
    : loop_(loop), peer_(std::move(peer)), machine_(std::move(machine)), done_(std::move(done)) {
  connection_ = Connection::create(loop_, std::move(fd), *this, true);
  start_deadline(deadline);
}

Handshaking::Handshaking(EventLoop& loop, UniqueFd fd, std::string peer, Responder machine, Duration deadline, Done done)
    : loop_(loop), peer_(std::move(peer)), machine_(std::move(machine)), done_(std::move(done)) {
  connection_ = Connection::create(loop_, std::move(fd), *this, false);
  start_deadline(deadline);
}

Handshaking::~Handshaking() {
  if (timer_.value != 0) loop_.cancel(timer_);
  if (connection_) connection_->close();
}

void Handshaking::start_deadline(Duration deadline) {
  timer_ = loop_.call_at(loop_.now() + deadline, [this] {
    timer_ = {};
    fail("no answer within the time for the handshake");
  });
}

Hello Handshaking::hello() const {
  const auto* responder = std::get_if<Responder>(&machine_);
  return responder != nullptr ? responder->hello() : Hello{};
}

void Handshaking::on_connected(Connection& connection) { connection.send_frame(std::get<Initiator>(machine_).first_frame()); }

void Handshaking::on_frame(Connection& connection, Frame frame) {
  heard_ = true;
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

void Handshaking::on_closed(Connection&, const std::string& why) { fail(peer_ + ": " + why); }

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
