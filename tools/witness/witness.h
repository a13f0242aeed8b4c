// The witness: one process that votes for any number of resources and clusters, without configuration for any
// of them. Every connection belongs to one resource and one data node, both proved in the handshake; it
// carries register messages. One thread; a write of state holds up all resources for as long as the disk
// takes, which is why leases write nothing.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "acceptor_store.h"
#include "shell/link/listener.h"
#include "shell/loop/limited_log.h"
#include "verifier_store.h"

namespace lockstep {

struct WitnessSettings {
  HostPort listen{"", "7799"};
  std::string verifiers;          // directory; empty: learn at first contact
  std::shared_ptr<TlsStore> tls;  // null: in the clear
  size_t max_connections = 4096;  // authenticated ones
  size_t max_unauthenticated = 256;
  Duration handshake_timeout = seconds(5);
  Duration idle_timeout = seconds(300);  // longer than the longest ping-int: a client that is there was heard, or is gone
};

class Witness final : public Doorkeeper, public ConnectionOwner {
 public:
  // `loop` and `dir` outlive it.
  Witness(EventLoop& loop, const StateDir& dir, WitnessSettings settings);
  ~Witness() override;
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  Result<void> start();
  SocketAddress listening_at() const { return listener_.address(); }
  const AcceptorStore& acceptors() const { return acceptors_; }

 private:
  struct Client {
    std::shared_ptr<Connection> connection;
    ResourceId resource;
    Seat seat;
    bool introduced = false;
  };

  std::optional<Refusal> admit(const Hello& hello) override;
  std::optional<Refusal> check(const Hello& hello, const Transcript& transcript, const Proof& proof) override;
  Welcome welcome(const Hello&, const Transcript&) override { return {}; }

  void on_connected(Connection& connection) override;
  void on_frame(Connection& connection, Frame frame) override;
  void on_closed(Connection& connection, const std::string& why) override;

  Refusal unusable(const ResourceId& resource, const std::string& path, const Error& error);
  void refuse(Connection& connection, const Error& why);
  void arrived(HandshakeResult result);
  void crowded();
  void drop(Connection& connection, const std::string& why);
  void drop_all(const ResourceId& resource, const std::string& why);
  void drop_older(const ResourceId& resource, Seat seat);
  void sweep();

  EventLoop& loop_;
  WitnessSettings settings_;
  VerifierStore verifiers_;
  AcceptorStore acceptors_;
  std::unordered_map<const Connection*, Client> clients_;
  std::string last_refusal_;
  std::string last_trouble_;
  TimerId sweep_timer_;
  LimitedLog refusals_;
  Listener listener_;
};

}  // namespace lockstep
