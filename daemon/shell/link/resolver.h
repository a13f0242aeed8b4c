// Resolves a host name without stopping the loop. Literal addresses take no thread; a name takes a
// short-lived one, which shares only a small heap object with us: neither the loop nor the resolver has to
// outlive a name server that is silent.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "shell/event_loop.h"
#include "shell/link/address.h"

namespace lockstep {

class Resolver final : public FdHandler {
 public:
  using Done = std::function<void(std::vector<SocketAddress>)>;

  explicit Resolver(EventLoop& loop) : loop_(loop) {}
  ~Resolver() override { cancel(); }
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // One at a time: a new call replaces the one before. `done` may run before this returns (literal address);
  // it gets an empty list when there is no such name.
  void resolve(const HostPort& where, Done done);
  void cancel();

 private:
  struct Lookup;
  void on_ready(uint32_t events) override;
  EventLoop& loop_;
  std::shared_ptr<Lookup> lookup_;
  Done done_;
};

}  // namespace lockstep
