// A connection on its way through the handshake, at either end: runs one machine of wire/handshake.h on it,
// within a deadline.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "shell/link/connection.h"
#include "wire/handshake.h"

namespace lockstep {

// How a handshake ended. On success the connection is paused and its owner may take it over (set_owner(),
// resume()).
struct HandshakeResult {
  std::shared_ptr<Connection> connection;  // null: failed
  Hello hello;                             // responder: of the initiator, as far as it was read
  Negotiated negotiated;
  std::string failure;       // for the log, when failed
  bool refused = false;      // one side said no, rather than the connection breaking
  RefusalCode code{};        // and why, when refused
  bool stand_alone = false;  // it was the other side, which waits for its operator
};

class Handshaking final : public ConnectionOwner {
 public:
  using Done = std::function<void(Handshaking&, HandshakeResult)>;

  // TLS beneath it.
  struct Secure {
    std::shared_ptr<const TlsCredentials> keys;  // null: none
    std::vector<std::string> expected;           // initiator: what the other side's certificate has to be for, one of these
  };

  // Initiator: connects `fd` (non-blocking, connect() already called) and speaks first. `peer` names the
  // other end in texts.
  Handshaking(EventLoop& loop, UniqueFd fd, std::string peer, Initiator machine, Duration deadline, Done done,
              Secure secure = {});
  // Responder on an accepted socket.
  Handshaking(EventLoop& loop, UniqueFd fd, std::string peer, Responder machine, Duration deadline, Done done,
              Secure secure = {});
  // Closes the connection if it was not handed on. `done` is not called.
  ~Handshaking() override;
  Handshaking(const Handshaking&) = delete;
  Handshaking& operator=(const Handshaking&) = delete;

  bool silent() const { return !heard_; }  // nothing whole has come from the other end yet

 private:
  void on_connected(Connection& connection) override;
  void on_frame(Connection& connection, Frame frame) override;
  void on_closed(Connection& connection, const std::string& why) override;
  void begin(UniqueFd fd, bool connecting, Duration deadline, Secure secure);
  void finish(HandshakeResult result);
  void fail(const std::string& why);
  void refuse(const HandshakeStep& step);
  void end(HandshakeResult result);
  Hello hello() const;
  void bind_channel(const Connection& connection);

  EventLoop& loop_;
  std::string peer_;
  std::variant<Initiator, Responder> machine_;
  Done done_;
  std::shared_ptr<Connection> connection_;
  TimerId timer_;
  bool heard_ = false;
  bool bound_ = false;  // the machine knows the channel
};

}  // namespace lockstep
