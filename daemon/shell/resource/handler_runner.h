// Runs handlers: without a shell, at most one of a kind and peer, in a process group of their own that is killed at the time-out.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "shell/event_loop.h"

namespace lockstep {

enum class Handler : uint8_t {
  fence_peer,
  local_io_error,
  before_resync_target,
  after_resync_target,
  out_of_sync,
  quorum_lost,
  split_brain
};
constexpr size_t kHandlers = 7;

struct HandlerCommand {
  std::vector<std::string> argv;         // argv[0] is a path or found in PATH
  std::vector<std::string> environment;  // "NAME=value", added to our own
  Duration timeout = seconds(60);
};

std::string_view name_of(Handler kind);

class HandlerRunner {
 public:
  explicit HandlerRunner(EventLoop& loop);
  ~HandlerRunner();  // kills what still runs

  // Runs it unless one of that kind runs for this peer already; kNoSeat: for none. `done` gets the exit status; -1 for a signal, the time-out, or a handler that
  // could not be started. On the loop, never from within start().
  void start(Handler kind, Seat peer, const HandlerCommand& command, std::function<void(int exit_status)> done);
  bool running(Handler kind, Seat peer) const { return running_.contains({kind, peer.value}); }

 private:
  class Run;
  EventLoop& loop_;
  using Key = std::pair<Handler, uint8_t>;
  std::map<Key, std::unique_ptr<Run>> running_;
};

}  // namespace lockstep
