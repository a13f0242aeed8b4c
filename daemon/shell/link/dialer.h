// One attempt to connect to a peer over one path (two lanes, or the control lane alone) or to a witness (one connection): resolve, connect, shake hands.
// Names are resolved again with each attempt; where there are several addresses, attempts take them in turn.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "shell/link/handshaking.h"
#include "shell/link/link_settings.h"
#include "shell/link/resolver.h"
#include "shell/tls/tls_store.h"

namespace lockstep {

struct DialSettings {
  ResourceId resource;
  Seat self;
  Seat peer;
  std::string peer_name;
  PathSettings path;
  uint8_t path_number = 0;
  Duration deadline = seconds(5);
  VersionRange versions;
  uint64_t features = kFeatures;
  std::shared_ptr<TlsStore> tls;  // null: in the clear
};

// What an attempt says of the link that it is for (wire/hello.h).
struct Greeting {
  Uuid session;
  bool joins = false;
};

struct DialResult {
  std::shared_ptr<Connection> data;     // null for a witness, and on a path that has no data lane
  std::shared_ptr<Connection> control;  // null: failed
  Negotiated negotiated;
  Greeting greeting;  // what it said
  std::string failure;
  bool refused = false;
  RefusalCode code{};        // when refused
  bool stand_alone = false;  // as in HandshakeResult
};

class Dialer {
 public:
  using Done = std::function<void(DialResult)>;

  // `keys` outlives it.
  Dialer(EventLoop& loop, DialSettings settings, const LinkKeys& keys, Done done);
  ~Dialer();
  Dialer(const Dialer&) = delete;
  Dialer& operator=(const Dialer&) = delete;

  // Begins an attempt; `done` is called once, never from within dial(). Not while one is under way.
  void dial(const Greeting& greeting);
  // As dial(), but says over one connection that this side is StandAlone, and ends there: a failure for `done`.
  void excuse();
  // Gives up the attempt that is under way, without a call of `done`.
  void cancel();
  bool dialing() const { return dialing_; }
  const Greeting& greeting() const { return greeting_; }  // of the attempt that is or was under way

 private:
  struct LaneAttempt {
    std::shared_ptr<Handshaking> handshake;
    std::shared_ptr<Connection> ready;
  };
  bool to_witness() const { return settings_.peer.is_witness(); }
  bool one_lane() const { return to_witness() || settings_.path.control_only; }
  bool bind_source(int fd, const SocketAddress& to);
  void begin();
  void resolved(std::vector<SocketAddress> addresses);
  bool connect_lane(Lane lane, const SocketAddress& address, const Uuid& pairing);
  void lane_done(Lane lane, HandshakeResult result);
  void finish(DialResult result);
  void fail(const std::string& why);
  LaneAttempt& attempt(Lane lane) { return lanes_[static_cast<size_t>(lane)]; }

  EventLoop& loop_;
  DialSettings settings_;
  const LinkKeys& keys_;
  Done done_;
  Resolver resolver_;
  TimerId resolve_timer_;
  bool dialing_ = false;
  Greeting greeting_;
  bool excuse_ = false;  // of the attempt that is under way
  uint64_t attempts_ = 0;
  Negotiated negotiated_;
  std::array<LaneAttempt, 2> lanes_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace lockstep
