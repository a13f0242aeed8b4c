// Runs fence-peer handlers: without a shell, at most one a peer, in a process group of their own that is killed at the time-out.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "shell/event_loop.h"

namespace lockstep {

struct FenceCommand {
  std::vector<std::string> argv;         // argv[0] is a path or found in PATH
  std::vector<std::string> environment;  // "NAME=value", added to our own
  Duration timeout = seconds(60);
};

class FenceRunner {
 public:
  explicit FenceRunner(EventLoop& loop);
  ~FenceRunner();  // kills what still runs

  // Runs it unless one runs for this peer already. `done` gets the exit status; -1 for a signal, the time-out, or a handler that
  // could not be started. On the loop, never from within start().
  void start(Seat peer, const FenceCommand& command, std::function<void(int exit_status)> done);
  bool running(Seat peer) const { return running_.contains(peer.value); }

 private:
  class Run;
  EventLoop& loop_;
  std::map<uint8_t, std::unique_ptr<Run>> running_;
};

}  // namespace lockstep
