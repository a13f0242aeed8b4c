// The CLI's side of the control socket: one request, its events, its reply. Blocking; one connection a
// request.
#pragma once

#include <functional>
#include <nlohmann/json.hpp>
#include <string>

#include "control/control_protocol.h"

namespace lockstep::cli {

struct DaemonCallbacks {
  std::function<void(const std::string&)> on_event;
  std::function<void(const nlohmann::json&)> on_progress;
};

// The daemon's reply. A daemon that does not run, breaks off, or shows no sign of life for 5 s is a reply with exit status 20 and a
// message that says so.
ControlReply ask_daemon(const std::string& run_dir, const ControlRequest& request, const DaemonCallbacks& callbacks = {});

}  // namespace lockstep::cli
