// A listening socket on a loop: hands over each connection, non-blocking and closed on exec.
//
// When its owner is crowded it takes only so many callers in a time. Each one takes another's place then, and who has just got one
// must have the time to say what he wants; the others wait in the kernel's queue.
#pragma once

#include <functional>

#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class SocketAcceptor final : public FdHandler {
 public:
  enum class Owner { has_room, crowded };
  using Accepted = std::function<Owner(UniqueFd)>;

  // A socket of somebody else's goes on listening when this is gone.
  enum class Socket { ours, of_another };
  // `loop` outlives it. `accepted` may not destroy it.
  SocketAcceptor(EventLoop& loop, UniqueFd listening, Accepted accepted, Socket whose = Socket::ours);
  ~SocketAcceptor() override;
  SocketAcceptor(const SocketAcceptor&) = delete;
  SocketAcceptor& operator=(const SocketAcceptor&) = delete;

  int fd() const { return fd_.get(); }

 private:
  void on_ready(uint32_t events) override;
  void rest(Duration pause);

  EventLoop& loop_;
  UniqueFd fd_;
  Accepted accepted_;
  Socket whose_;
  TimerId rest_timer_;
};

}  // namespace lockstep
