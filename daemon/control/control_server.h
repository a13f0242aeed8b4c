// The control socket RUNDIR/control.sock: accepts operators' commands on the control thread's EventLoop and
// hands them to a ControlHandler. Bounded: connections (the oldest that is idle makes room), streams,
// bytes of a request, bytes waiting to be read by a client, and the time for either.
//
// One request a connection. Only root and the daemon's own user are served (SO_PEERCRED; the socket's mode is
// 0600 too).
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "control/control_protocol.h"
#include "shell/event_loop.h"

namespace lockstep {

// The way back to one client. Kept by the handler until it has answered; usable only on the control thread.
// After the client hung up, or after finish(), everything is a no-op.
class ControlResponder {
 public:
  virtual ~ControlResponder() = default;
  virtual void event(std::string_view line) = 0;  // a line for the client's standard output, without newline
  virtual void progress(const nlohmann::json& value) = 0;
  virtual void finish(const ControlReply& reply) = 0;
  virtual bool open() const = 0;  // false: nobody listens any more
  // Before the first event of a command that lasts as long as the client likes. False: there are as many as may be, so that room
  // stays for other commands.
  virtual bool begin_stream() = 0;
  // Called once if the client hangs up before finish(). It may release the responder.
  virtual void on_hangup(std::function<void()> what) = 0;
};

class ControlHandler {
 public:
  virtual ~ControlHandler() = default;
  // On the control thread; must not block. Answers at once or later, exactly once, by responder->finish(). A client whose
  // responder is dropped without an answer gets an error.
  virtual void handle(ControlRequest request, std::shared_ptr<ControlResponder> responder) = 0;
};

class ControlServer {
 public:
  static constexpr size_t kMaxConnections = 64;
  static constexpr size_t kMaxStreams = 32;
  // Takes RUNDIR (created when it is missing, mode 0755) for this daemon: a lock file says whose it is, so a
  // socket that a dead daemon left is replaced and a living one's is not (EADDRINUSE). `loop` and `handler`
  // must outlive the server.
  static Result<std::unique_ptr<ControlServer>> create(EventLoop& loop, const std::string& run_dir, ControlHandler& handler);
  virtual ~ControlServer() = default;
  // Connections now open; for status and tests.
  virtual size_t connections() const = 0;
};

std::string control_socket_path(const std::string& run_dir);

}  // namespace lockstep
