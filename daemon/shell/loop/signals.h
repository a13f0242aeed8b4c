// Signals as events of a loop, in place of handlers that may do almost nothing.
#pragma once

#include <functional>
#include <initializer_list>
#include <memory>

#include "base/result.h"
#include "shell/event_loop.h"
#include "shell/loop/unique_fd.h"

namespace lockstep {

class SignalWatch : public FdHandler {
 public:
  // Blocks the signals in this thread and in those it starts from now on: call it before there are any.
  // `loop` outlives it. Programs started by fork() and exec() inherit the mask: unblock there
  // (restore_for_child()).
  static Result<std::unique_ptr<SignalWatch>> create(EventLoop& loop, std::initializer_list<int> signals,
                                                     std::function<void(int signal)> on_signal);
  ~SignalWatch() override;
  SignalWatch(const SignalWatch&) = delete;
  SignalWatch& operator=(const SignalWatch&) = delete;
  void on_ready(uint32_t events) override;

 private:
  SignalWatch(EventLoop& loop, UniqueFd fd, std::function<void(int)> on_signal);
  EventLoop& loop_;
  UniqueFd fd_;
  std::function<void(int)> on_signal_;
};

// First thing in a daemon's main(). A pipe or socket whose reader is gone (standard error of a daemon may be one) becomes an error of
// write() instead of the end of the daemon, and as many descriptors may be open as the system allows: a crowd of strangers is
// bounded, but not to the 1024 that a shell gives.
void prepare_daemon();

// Between fork() and exec(): undoes what SignalWatch blocked and prepare_daemon() changed. Async-signal-safe.
void restore_for_child();

}  // namespace lockstep
