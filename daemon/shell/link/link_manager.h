// All links of one resource on one node: to the other data nodes and to the witnesses.
//
// * The node with the higher seat connects, the one with the lower seat listens; everybody connects to a
// witness. So there
//   are never two links that cross, and which side is to be looked at when a link does not come up is plain.
// * A link to a data node goes over one path or several (path.h); each is two TCP connections, data and control, tied by a token that
//   the connecting side draws, or the control lane alone. A link is up while it has a path for each lane (lanes.h), and one with a
//   single path is down as soon as one of its connections is lost. A witness has one connection.
// * A new proved pair from a peer replaces an old link, unless it joins it: a peer that comes again has lost the old one.
// * Heartbeats go on the control lane. A half-open or hung peer is noticed within ping-int + ping-timeout;
// one that takes no
//   byte of what is queued, within `timeout`. That a peer acknowledges in time is the core's business.
// * Reconnection begins after 0.1 s and backs off, with jitter, to connect-int. Names are resolved again each
// time.
// * Refusals (wrong secret, resource, node-id, version) do not stop the attempts: a corrected configuration
// heals by itself.
//
// Belongs to one EventLoop and its thread. Memory: max_queue_bytes and the pool bound what a peer can make us
// hold.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "shell/link/link_settings.h"
#include "shell/link/listener.h"
#include "shell/link/peer_link.h"

namespace lockstep {

class LinkManager final : public Doorkeeper {
 public:
  // `loop`, `pool` and `owner` outlive it. `pool` holds received payloads.
  LinkManager(EventLoop& loop, BufferPool& pool, LinkSettings settings, LinkOwner& owner);
  ~LinkManager() override;  // closes all links; no callback. Not from within one
  LinkManager(const LinkManager&) = delete;
  LinkManager& operator=(const LinkManager&) = delete;

  // Listens and begins to connect. Fails when some peer that is to call us could not, for none of its paths' own addresses can be
  // bound: refused_address() is the first of them. Other addresses that cannot be bound are tried again until they can.
  Result<void> start();
  const HostPort& refused_address() const { return refused_address_; }

  // Listens, if one of these is to call and nobody was before. To be asked before set_peers().
  Result<void> listen_for(const std::vector<PeerSettings>& peers);
  // Other peers and witnesses than before. A link to one that is gone, or that has another name or address now, ends: link_down() comes before
  // this returns. Not from within a callback.
  void set_peers(const std::vector<PeerSettings>& peers);

  // Queues a message; it leaves at the end of this turn. False: that link is no more (link_down was or will
  // be called).
  bool send(Seat peer, LinkId link, const Message& message, BufferRef payload);
  void close(Seat peer, LinkId link, const std::string& why);  // and reconnects
  void set_stand_alone(Seat peer,
                       const std::string& why);  // closes; no further attempt, no admission, until connect()
  void connect(Seat peer);
  LinkStatus status(Seat peer) const;
  // Where it listens, in the order of the paths that can be had (tests bind port 0). Only when it has a peer with a higher seat.
  SocketAddress listening_at(size_t path = 0) const;

 private:
  std::optional<Refusal> admit(const Hello& hello) override;
  std::optional<Refusal> admit_certificate(const Hello& hello, const CertifiedFor& certified) override;
  std::optional<Refusal> check(const Hello& hello, const Transcript& transcript, const Proof& proof) override;
  Welcome welcome(const Hello& hello, const Transcript& transcript) override;
  void arrived(HandshakeResult result, const HostPort& door);
  void crowded();
  void favour_peers();
  void add_link(const PeerSettings& peer);
  bool calls_us(const PeerSettings& peer) const;
  std::vector<HostPort> doors_for(const std::vector<PeerSettings>& peers) const;
  Listener* listener_at(const HostPort& where) const;
  Result<void> open_door(const HostPort& where, const std::optional<HostPort>& found = std::nullopt);
  bool has_leaving_door(const std::string& port, const std::vector<PeerSettings>& peers) const;
  void open_later();
  void open_found(const HostPort& where, const HostPort& found);
  void say_closed(const HostPort& where, const std::string& why);
  PeerLink* find(Seat seat) const;

  EventLoop& loop_;
  BufferPool& pool_;
  LinkSettings settings_;
  LinkOwner& owner_;
  LinkKeys keys_;
  uint64_t last_link_ = 0;
  std::string last_stranger_;
  std::vector<std::unique_ptr<Resolver>> resolvers_;  // of those who call us
  Instant resolved_ = kLongAgo;
  struct Door {
    HostPort where;
    std::unique_ptr<Listener> listener;
  };
  std::vector<Door> doors_;
  HostPort refused_address_;
  TimerId open_later_;
  std::vector<std::unique_ptr<Resolver>> opening_;  // of own names
  std::vector<std::unique_ptr<PeerLink>> links_;
};

}  // namespace lockstep
