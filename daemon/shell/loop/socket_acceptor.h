// A listening socket on a loop: hands over each connection, non-blocking and closed on exec.
#pragma once

#include <functional>

#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class SocketAcceptor final : public FdHandler {
 public:
  using Accepted = std::function<void(UniqueFd)>;

  // `loop` outlives it. `accepted` may not destroy it.
  SocketAcceptor(EventLoop& loop, UniqueFd listening, Accepted accepted);
  ~SocketAcceptor() override;
  SocketAcceptor(const SocketAcceptor&) = delete;
  SocketAcceptor& operator=(const SocketAcceptor&) = delete;

  int fd() const { return fd_.get(); }

 private:
  void on_ready(uint32_t events) override;
  void rest();

  EventLoop& loop_;
  UniqueFd fd_;
  Accepted accepted_;
  TimerId rest_timer_;
};

}  // namespace lockstep
