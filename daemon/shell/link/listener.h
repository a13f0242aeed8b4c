// Accepts connections and lets in who passes the handshake. Used by a resource's links and by the witness.
// Unauthenticated connections are bounded in number (the newest is turned away) and in time.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "shell/link/address.h"
#include "shell/link/handshaking.h"

namespace lockstep {

struct ListenerSettings {
  HostPort where;
  size_t max_unauthenticated = 64;
  Duration deadline = seconds(5);
  VersionRange versions;  // what we speak; tests narrow it
};

class Listener final : public FdHandler {
 public:
  // Gets every end of a handshake, good or bad.
  using Done = std::function<void(HandshakeResult)>;

  // `door` outlives the listener.
  Listener(EventLoop& loop, ListenerSettings settings, Doorkeeper& door, Done done);
  ~Listener() override;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Result<void> start();
  SocketAddress address() const { return local_address(fd_.get()); }
  size_t unauthenticated() const { return handshakes_.size(); }

 private:
  void on_ready(uint32_t events) override;
  void begin(UniqueFd fd);
  void finished(Handshaking& handshake, HandshakeResult result);
  void rest();

  EventLoop& loop_;
  ListenerSettings settings_;
  Doorkeeper& door_;
  Done done_;
  UniqueFd fd_;
  TimerId rest_timer_;
  std::vector<std::shared_ptr<Handshaking>> handshakes_;
};

}  // namespace lockstep
