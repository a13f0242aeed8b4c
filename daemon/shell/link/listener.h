// Accepts connections and lets in who passes the handshake. Used by a resource's links and by the witness.
//
// Whoever has not proved who he is costs a place and has little time. When the places are taken the oldest gives
// way: strangers before callers from a favoured address, and the silent before those who have said something. So
// a crowd of strangers may delay one another, but not a peer.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shell/link/address.h"
#include "shell/link/handshaking.h"
#include "shell/loop/socket_acceptor.h"
#include "shell/tls/tls_store.h"

namespace lockstep {

struct ListenerSettings {
  HostPort where;
  size_t max_unauthenticated = 64;
  size_t max_favoured = 64;  // addresses; the oldest is forgotten
  Duration deadline = seconds(5);
  VersionRange versions;  // what we speak; tests narrow it
  uint64_t features = kFeatures;
  std::shared_ptr<TlsStore> tls;  // null: in the clear
};

class Listener {
 public:
  // Gets every end of a handshake, good or bad, but for those that had to give way.
  using Done = std::function<void(HandshakeResult)>;

  // `door` outlives the listener. `crowded` is told each time that somebody had to give way or was turned away.
  Listener(EventLoop& loop, ListenerSettings settings, Doorkeeper& door, Done done, std::function<void()> crowded);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  Result<void> start();
  // Callers from this address are probably ours: it is configured, or somebody proved himself from there.
  void favour(const std::string& host);
  SocketAddress address() const { return local_address(acceptor_->fd()); }

 private:
  struct Entering {
    std::shared_ptr<Handshaking> handshake;
    bool favoured = false;
    int rank() const { return (favoured ? 2 : 0) + (handshake->silent() ? 0 : 1); }  // the lowest gives way
  };
  SocketAcceptor::Owner begin(UniqueFd fd);
  bool make_room(bool favoured);
  bool is_favoured(const std::string& host) const;
  void finished(Handshaking& handshake, HandshakeResult result);

  EventLoop& loop_;
  ListenerSettings settings_;
  Doorkeeper& door_;
  Done done_;
  std::function<void()> crowded_;
  std::unique_ptr<SocketAcceptor> acceptor_;
  std::vector<Entering> entering_;  // oldest first
  std::deque<std::string> favoured_;
};

}  // namespace lockstep
